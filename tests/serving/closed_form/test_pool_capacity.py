"""The closed form of two pools: monotone by construction, and what the simulator finds."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Arrivals, Routing
from planner.scenario.slo import Slo
from planner.serving.closed_form.capacity import capacity_within
from planner.serving.closed_form.unit_point import Unit, unit_capacity, unit_ceiling_qps, unit_point
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.replica_groups import DecodePool, SimulatedGroup
from planner.serving.simulation.requests import open_loop
from planner.serving.simulation.simulation_result import Study
from planner.serving.simulation.simulator import simulate
from planner.workload.lengths import constant, joint_lengths

LENGTHS = joint_lengths(Lengths(mean=1500, cv=0.6, max=8000), Lengths(mean=200, cv=0.6, max=1000))
TARGETS = Slo.model_validate({"ttft_p99": "3s", "tpot_p99": "30ms", "e2e_p90": "12s"})


class Affine:
    admission_s = 0.0

    def step_seconds(self, b: StepBatch):
        return (
            0.008
            + 1e-4 * b.decode_sequences
            + 1e-7 * b.decode_context_tokens
            + 8e-5 * b.prefill_tokens
            + 1e-9 * b.prefill_context_tokens
        )


def limits(pool_tokens=10**6, **more) -> ReplicaLimits:
    return ReplicaLimits(
        Scheduler.CHUNKED_PREFILL,
        256,
        8192,
        kv_pool_bytes=pool_tokens * 1e5,
        kv_block_bytes=16e5,
        **more,
    )


def unit(replicas=1, decode_replicas=1, gb_s=25.0, latency_s=0.005, **more) -> Unit:
    values = {
        "prefill_steps": Affine(),
        "prefill": limits(),
        "decode_steps": Affine(),
        "decode": limits(),
        **more,
    }
    return Unit(
        replicas=replicas,
        decode_replicas=decode_replicas,
        gb_s=gb_s,
        latency_s=latency_s,
        **values,
    )


def held(requested: Unit, slo: Slo = TARGETS) -> float:
    return unit_capacity(requested, LENGTHS, slo).qps


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(1, 4), st.floats(0.5, 200))
def test_more_replicas_in_either_pool_never_hold_less(prefill, decode, gb_s):
    now = held(unit(prefill, decode, gb_s))
    assert held(unit(prefill + 1, decode, gb_s)) >= now * (1 - 1e-5)
    assert held(unit(prefill, decode + 1, gb_s)) >= now * (1 - 1e-5)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.2, 100), st.floats(1.05, 20), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_slower_link_never_raises_capacity(gb_s, times, latency, more):
    slow = held(unit(2, 1, gb_s, latency + more))
    assert slow <= held(unit(2, 1, gb_s * times, latency)) * (1 + 1e-5)


@settings(deadline=None, max_examples=15)
@given(st.floats(0.5, 10), st.floats(1.0, 3))
def test_a_looser_target_never_lowers_capacity(seconds, looser):
    tight = Slo.model_validate({"ttft_p99": f"{seconds}s", "tpot_p99": "30ms"})
    loose = Slo.model_validate({"ttft_p99": f"{seconds * looser}s", "tpot_p99": "30ms"})
    assert held(unit(1, 1), loose) >= held(unit(1, 1), tight) * (1 - 0.02)


def test_the_transfer_is_part_of_the_time_to_first_token():
    quick = unit_point(unit(gb_s=1000.0, latency_s=0.0), LENGTHS, TARGETS, 0.5)
    late = unit_point(unit(gb_s=1000.0, latency_s=0.3), LENGTHS, TARGETS, 0.5)
    for key in ("ttft_p50", "ttft_p99", "e2e_p50"):
        assert late.latency_s[key] - quick.latency_s[key] == pytest.approx(0.3, abs=0.03)
    assert late.latency_s["tpot_p99"] == pytest.approx(quick.latency_s["tpot_p99"], rel=1e-6)


def test_both_engines_of_a_unit_admit_a_request():
    slow = Affine()
    slow.admission_s = 0.01
    rate = 0.5
    plain, delayed = (
        unit_point(unit(prefill_steps=steps, decode_steps=steps), LENGTHS, TARGETS, rate)
        for steps in (Affine(), slow)
    )
    gained = delayed.latency_s["ttft_p50"] - plain.latency_s["ttft_p50"]
    assert gained == pytest.approx(0.02, abs=0.005)
    groups = [
        SimulatedGroup(
            steps, limits(), 1, decode=DecodePool(SimulatedGroup(steps, limits(), 1), 25.0)
        )
        for steps in (Affine(), slow)
    ]
    requested = open_loop(LENGTHS, Arrivals(), rate, 200.0, 0)
    simulated = [float(np.median(simulate([g], requested).latency_s("ttft"))) for g in groups]
    assert simulated[1] - simulated[0] == pytest.approx(0.02, abs=0.002)


def test_a_target_under_the_floor_of_an_idle_unit_is_named():
    slo = Slo.model_validate({"ttft_p99": "100ms", "tpot_p99": "30ms"})
    found = unit_capacity(unit(), LENGTHS, slo)
    assert found.qps == 0
    assert found.limited_by == "ttft_p99"
    assert found.latency_s["ttft_p99"] > 0.1


def test_a_link_that_cannot_carry_the_prompts_limits_the_unit():
    slo = Slo.model_validate({"tpot_p99": "500ms"})
    thin = unit_capacity(unit(4, 1, gb_s=0.2), LENGTHS, slo)
    assert thin.limited_by == "kv link"
    sent = LENGTHS.prompt.mean() * 1e5 / 0.2e9
    assert thin.qps == pytest.approx(4 * 0.95 / sent, rel=0.02)


def test_a_prefill_pool_with_room_for_one_prompt_limits_the_unit():
    room = limits(pool_tokens=8000 + 64)
    found = unit_capacity(unit(prefill=room, gb_s=0.5), LENGTHS, TARGETS)
    assert found.limited_by == "prefill kv pool"
    assert found.qps < held(unit(gb_s=0.5))


def test_prefill_no_longer_disturbs_decode():
    """Where long prompts stall answers, two pools of one replica hold more than two replicas."""
    slo = Slo.model_validate({"ttft_p99": "5s", "tpot_p99": "13ms"})
    together = capacity_within(Affine(), limits(), LENGTHS, slo)
    assert held(unit(1, 1), slo) > 2 * together.qps


@pytest.mark.slow
@pytest.mark.parametrize(("prefill", "decode"), [(1, 1), (3, 1), (2, 2)])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_closed_form_agrees_with_the_simulator(prefill, decode, share):
    requested = unit(prefill, decode)
    rate = share * held(requested)
    point = unit_point(requested, LENGTHS, TARGETS, rate)
    answers = SimulatedGroup(Affine(), limits(), decode)
    group = SimulatedGroup(Affine(), limits(), prefill, decode=DecodePool(answers, 25.0, 0.005))
    requests = open_loop(LENGTHS, Arrivals(), rate, 20_000 / rate, 1)
    run = simulate([group], requests, Routing(policy="random"), warm_up_s=60)
    for metric, percentile, tolerance in (
        ("tpot", 50, 0.03),
        ("tpot", 99, 0.06),
        ("ttft", 50, 0.25),
        ("ttft", 99, 0.25),
        ("e2e", 99, 0.10),
    ):
        simulated = Study((run,)).percentile(metric, percentile).value_s
        assert point.latency_s[f"{metric}_p{percentile}"] == pytest.approx(simulated, rel=tolerance)


def requests_at(rate: float, seconds: float = 300.0):
    return open_loop(LENGTHS, Arrivals(), rate, seconds, 1)


def test_a_prompt_is_decoded_in_the_unit_that_prefilled_it():
    answers = SimulatedGroup(Affine(), limits(), 4)
    pool = DecodePool(answers, 25.0, 0.005, units=2)
    run = simulate([SimulatedGroup(Affine(), limits(), 2, decode=pool)], requests_at(4.0))
    assert not np.isnan(run.end_s).any()
    assert set(run.replica) == {2, 3, 4, 5}  # where each answer was written
    lone = replace(pool, group=SimulatedGroup(Affine(), limits(), 2))
    apart = simulate([SimulatedGroup(Affine(), limits(), 2, decode=lone)], requests_at(4.0))
    assert {(apart.replica == n).mean() > 0.3 for n in (2, 3)} == {True}


def test_prompts_wait_for_each_other_on_a_link():
    """Twice the load on a link that is three quarters taken adds a wait beyond the prefill's own."""
    answers = SimulatedGroup(Affine(), limits(), 4)
    sent = LENGTHS.prompt.mean() * 1e5 / 1e9

    def median(gb_s: float) -> float:
        group = SimulatedGroup(Affine(), limits(), 1, decode=DecodePool(answers, gb_s))
        run = simulate([group], requests_at(3.0, 2000.0))
        return float(np.nanmean(run.first_token_s - run.arrival_s))

    carried = median(1.0) - median(1000.0)
    assert 3.0 * sent < 0.95
    assert carried > 1.2 * sent


def test_groups_that_do_both_stand_beside_units():
    answers = SimulatedGroup(Affine(), limits(), 1)
    apart = SimulatedGroup(Affine(), limits(), 1, decode=DecodePool(answers, 25.0))
    both = SimulatedGroup(Affine(), limits(), 1)
    run = simulate([apart, both], requests_at(4.0))
    assert not np.isnan(run.end_s).any()
    assert (run.replica == 1).mean() == pytest.approx(0.5, abs=0.01)
    assert (run.replica == 2).mean() == pytest.approx(0.5, abs=0.01)


def test_the_ceiling_is_the_tighter_pools():
    few = unit_ceiling_qps(unit(1, 4), LENGTHS)
    assert unit_ceiling_qps(unit(2, 4), LENGTHS) == pytest.approx(2 * few)
    assert unit_ceiling_qps(unit(64, 1), LENGTHS) == unit_ceiling_qps(unit(128, 1), LENGTHS)
    assert math.isfinite(few)


def test_answers_of_one_token_are_yielded_by_the_decode_pool():
    lengths = constant(500, 1)
    answers = SimulatedGroup(Affine(), limits(), 1)
    group = SimulatedGroup(Affine(), limits(), 1, decode=DecodePool(answers, 25.0, 1.0))
    run = simulate([group], open_loop(lengths, Arrivals(), 1.0, 30.0, 1))
    assert (run.first_token_s - run.arrival_s).min() > 1.0


def test_a_prompt_keeps_its_room_until_it_has_arrived():
    lengths = constant(4000, 5)
    answers = SimulatedGroup(Affine(), limits(), 1)
    pool = DecodePool(answers, 0.4)  # a second a prompt
    requests = open_loop(lengths, Arrivals(), 2.0, 5.0, 1)

    def started(tokens: int) -> list[float]:
        group = SimulatedGroup(Affine(), limits(pool_tokens=tokens), 1, decode=pool)
        return sorted(simulate([group], requests).start_s)

    tight, roomy = started(4500), started(10**6)
    assert min(b - a for a, b in itertools.pairwise(tight)) >= 1.0
    assert roomy[-1] < tight[-1]


def test_prompts_of_a_full_pool_are_all_served():
    group = SimulatedGroup(
        Affine(),
        limits(pool_tokens=9000),
        1,
        decode=DecodePool(SimulatedGroup(Affine(), limits(), 1), 2.0, 0.1),
    )
    run = simulate([group], requests_at(2.0, 120.0))
    assert not np.isnan(run.end_s).any()
    assert run.requests_area_s == pytest.approx((run.end_s - run.arrival_s).sum(), rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.floats(0.5, 100),
    st.sampled_from(list(Scheduler)),
    st.sampled_from(["round-robin", "random", "least-loaded"]),
)
def test_nothing_is_lost_between_the_pools(prefill, decode, units, gb_s, scheduler, routing):
    """Every request ends after its prompt arrived, and Little's law holds over both pools and the link."""
    room = replace(limits(30_000), scheduler=scheduler, chunked=scheduler is not Scheduler.NO_EVICT)
    answers = SimulatedGroup(Affine(), room, units * decode)
    pool = DecodePool(answers, gb_s, 0.01, units)
    group = SimulatedGroup(Affine(), room, units * prefill, decode=pool)
    run = simulate([group], requests_at(1.5, 60.0), Routing(policy=routing))
    served = ~run.shed
    assert not np.isnan(run.end_s[served]).any()
    sent = np.array([pool.sent_s(room, int(p)) for p in run.prompt_tokens])
    assert (run.first_token_s - run.start_s >= sent + 0.01)[served].all()
    assert (run.end_s >= run.first_token_s)[served].all()
    stays = (run.end_s - run.arrival_s)[served].sum()
    assert run.requests_area_s == pytest.approx(stays, rel=1e-6)


@pytest.mark.parametrize(
    ("targets", "key", "tolerance"),
    [
        ({"tpot_p99": "13ms"}, "tpot_p99", 0.03),
        ({"tpot_p90": "16ms"}, "tpot_p90", 0.03),
        ({"ttft_p99": "1.5s", "tpot_p99": "1s"}, "ttft_p99", 0.07),
        ({"ttft_p90": "600ms", "tpot_p99": "1s"}, "ttft_p90", 0.07),
        ({"e2e_p90": "5s", "tpot_p99": "1s"}, "e2e_p90", 0.12),
    ],
)
def test_the_binding_target_is_met_and_no_more_at_capacity(targets, key, tolerance):
    found = unit_capacity(unit(2, 1), LENGTHS, Slo.model_validate(targets))
    assert found.limited_by == key
    seconds = next(t.seconds for t in Slo.model_validate(targets).targets if t.key == key)
    assert found.latency_s[key] == pytest.approx(seconds, rel=tolerance)
