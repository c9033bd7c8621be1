from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.lengths import Lengths
from planner.scenario.slo import Slo
from planner.serving.closed_form.capacity import capacity_within, ceiling_qps, lasts_at
from planner.serving.limits import ReplicaLimits
from planner.workload.lengths import constant, joint_lengths

ALL = list(Scheduler)


class Affine:
    admission_s = 0.0

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def step_seconds(self, b: StepBatch):
        seconds = (
            0.008
            + 1e-4 * b.decode_sequences
            + 1e-7 * b.decode_context_tokens
            + 4e-5 * b.prefill_tokens
            + 1e-9 * b.prefill_context_tokens
        )
        return seconds / self.speed


def limits(scheduler=Scheduler.CHUNKED_PREFILL, pool_tokens=10**7, seqs=256) -> ReplicaLimits:
    return ReplicaLimits(
        scheduler,
        seqs,
        8192,
        kv_pool_bytes=pool_tokens * 2.0,
        kv_block_bytes=32.0,
        chunked=scheduler is not Scheduler.NO_EVICT,
    )


def slo(ttft="2s", tpot="100ms", **more) -> Slo:
    return Slo.model_validate({"ttft_p99": ttft, "tpot_p99": tpot, **more})


LENGTHS = joint_lengths(Lengths(mean=1000, cv=0.8), Lengths(mean=300, cv=0.8))


@pytest.mark.parametrize("scheduler", ALL)
def test_targets_hold_at_capacity_and_the_binding_one_is_met_exactly(scheduler):
    found = capacity_within(Affine(), limits(scheduler), LENGTHS, slo(tpot="60ms"))
    assert found.limited_by == "tpot_p99"
    assert found.latency_s["tpot_p99"] == pytest.approx(0.060, rel=0.01)
    assert found.latency_s["ttft_p99"] < 2
    assert 0 < found.utilisation <= 1
    assert 0 < found.kv_used_share <= 1


@settings(deadline=None, max_examples=40)
@given(
    scheduler=st.sampled_from(ALL),
    tpot_ms=st.floats(15, 200),
    ttft_s=st.floats(0.3, 10),
    looser=st.floats(1.01, 3),
)
def test_a_looser_target_never_costs_capacity(scheduler, tpot_ms, ttft_s, looser):
    def qps(ttft: float, tpot: float) -> float:
        return capacity_within(Affine(), limits(scheduler), LENGTHS, slo(ttft, tpot / 1000)).qps

    own = qps(ttft_s, tpot_ms)
    assert qps(ttft_s * looser, tpot_ms) >= own * 0.999
    assert qps(ttft_s, tpot_ms * looser) >= own * 0.999


@pytest.mark.parametrize("scheduler", ALL)
def test_a_faster_replica_a_larger_pool_and_calmer_arrivals_never_cost_capacity(scheduler):
    base = capacity_within(Affine(), limits(scheduler, 200_000), LENGTHS, slo()).qps
    assert capacity_within(Affine(1.3), limits(scheduler, 200_000), LENGTHS, slo()).qps > base
    assert capacity_within(Affine(), limits(scheduler, 400_000), LENGTHS, slo()).qps >= base
    bursty = capacity_within(Affine(), limits(scheduler, 200_000), LENGTHS, slo(), arrival_cv=3)
    assert bursty.qps < base


def test_pool_too_small_for_the_longest_request():
    found = capacity_within(Affine(), limits(pool_tokens=1_000), LENGTHS, slo())
    assert found.qps == 0
    assert found.limited_by == "kv pool"
    assert "KV cache" in (found.reason or "")


@pytest.mark.parametrize(
    ("targets", "key"),
    [
        ({"ttft": "1ms"}, "ttft_p99"),
        ({"tpot": "5ms"}, "tpot_p99"),
        ({"e2e_p99": "100ms"}, "e2e_p99"),
    ],
)
def test_target_under_the_floor_of_an_idle_replica_is_said(targets, key):
    found = capacity_within(Affine(), limits(), LENGTHS, slo(**targets))
    assert found.qps == 0
    assert found.limited_by == key
    assert "without any other request" in (found.reason or "")


def test_goodput_is_one_requirement_over_all_targets():
    strict = capacity_within(Affine(), limits(), LENGTHS, slo(tpot="60ms", goodput=0.99))
    loose = capacity_within(Affine(), limits(), LENGTHS, slo(tpot="60ms", goodput=0.6))
    assert strict.limited_by == "goodput"
    assert 0 < strict.qps < loose.qps


def test_small_pool_is_the_bound_that_is_named():
    found = capacity_within(Affine(), limits(pool_tokens=20_000), constant(1000, 500), slo("60s"))
    assert found.limited_by in ("kv pool", "ttft_p99")
    assert found.kv_used_share > 0.7


def test_one_token_responses_have_no_tpot():
    found = capacity_within(
        Affine(), limits(), constant(2000, 1), Slo.model_validate({"ttft_p99": "1s"})
    )
    # one prefill is 0.008 + 0.08 + 0.002 s: about 11/s at full load
    assert 4 < found.qps < 11.5
    assert "tpot_p99" not in found.latency_s
    assert found.latency_s["e2e_p99"] == pytest.approx(found.latency_s["ttft_p99"])


def test_prefix_hits_raise_capacity():
    plain = capacity_within(Affine(), limits(), LENGTHS, slo())
    hits = capacity_within(Affine(), limits(), LENGTHS, slo(), prefix_hit_share=0.5)
    assert hits.qps > plain.qps


def test_a_replica_keeps_up_with_rates_below_its_ceiling_alone():
    requested = constant(1000, 1000)
    most = ceiling_qps(Affine(), limits(), requested)
    assert lasts_at(Affine(), limits(), requested, 0.5 * most)
    assert not lasts_at(Affine(), limits(), requested, 1.01 * most)
