from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.engine import Scheduler
from planner.errors import InputError
from planner.performance.steps import StepBatch
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Arrivals, Routing
from planner.scenario.slo import Slo
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.closed_loop import play_requests
from planner.serving.simulation.replica_groups import DecodePool, SimulatedGroup
from planner.serving.simulation.requests import Requests, open_loop
from planner.serving.simulation.simulation_result import Study
from planner.serving.simulation.simulator import simulate
from planner.workload.lengths import constant, joint_lengths

ALL = list(Scheduler)
LENGTHS = joint_lengths(Lengths(mean=800, cv=0.8, max=6000), Lengths(mean=150, cv=0.8, max=1500))


class Affine:
    admission_s = 0.0

    def step_seconds(self, b: StepBatch):
        return (
            0.008
            + 2e-5 * b.decode_sequences
            + 2e-8 * b.decode_context_tokens
            + 2e-5 * b.prefill_tokens
            + 1e-9 * b.prefill_context_tokens
        )


def limits(scheduler=Scheduler.CHUNKED_PREFILL, pool_tokens=10**6, seqs=256, budget=4096, **more):
    return ReplicaLimits(
        scheduler,
        seqs,
        budget,
        kv_pool_bytes=pool_tokens * 2.0,
        kv_block_bytes=32.0,
        chunked=scheduler is not Scheduler.NO_EVICT,
        **more,
    )


def run(own=None, rate=5.0, seconds=120.0, seed=1, replicas=1, routing=None, **more):
    requests = open_loop(LENGTHS, Arrivals(), rate, seconds, seed)
    group = SimulatedGroup(Affine(), own or limits(), replicas)
    return simulate([group], requests, routing, seed=seed, **more)


@settings(deadline=None, max_examples=60)
@given(
    scheduler=st.sampled_from(ALL),
    rate=st.floats(0.5, 30),
    pool_tokens=st.integers(8_000, 200_000),
    seqs=st.integers(1, 64),
    budget=st.integers(128, 8192),
    replicas=st.integers(1, 4),
    routing=st.sampled_from(["round-robin", "random", "least-loaded", "prefix-aware"]),
    max_queue=st.sampled_from([None, 1, 5]),
    draft=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_no_request_is_lost_and_littles_law_holds(
    scheduler, rate, pool_tokens, seqs, budget, replicas, routing, max_queue, draft, seed
):
    more = {"draft_tokens": 2, "tokens_per_step": 1.7} if draft else {}
    own = limits(scheduler, pool_tokens, seqs, budget, **more)
    result = run(own, rate, 12.0, seed, replicas, Routing(policy=routing, max_queue=max_queue))
    done = ~np.isnan(result.end_s)
    assert np.array_equal(done, ~result.shed)
    stay = (result.end_s - result.arrival_s)[done]
    assert result.requests_area_s == pytest.approx(stay.sum(), rel=1e-6, abs=1e-6)
    assert np.all(result.start_s[done] >= result.arrival_s[done] - 1e-9)
    assert np.all(result.first_token_s[done] > result.start_s[done])
    assert np.all(result.end_s[done] >= result.first_token_s[done])
    assert np.all((result.series.kv_used_share >= 0) & (result.series.kv_used_share <= 1 + 1e-9))
    if max_queue is None:
        assert not result.shed.any()
    if not result.preemptions.any():
        assert result.prefilled_tokens == result.prompt_tokens[done].sum()


@pytest.mark.parametrize("scheduler", ALL)
def test_work_is_conserved(scheduler):
    """While requests are in flight the replica is busy: idle time is time without requests."""
    result = run(limits(scheduler), rate=3.0, seconds=60.0)
    busy = result.prefill_busy_s + result.decode_busy_s
    marks = sorted([(t, 1) for t in result.arrival_s] + [(t, -1) for t in result.end_s])
    covered, level, since = 0.0, 0, 0.0
    for t, change in marks:
        if level == 0:
            since = t
        level += change
        if level == 0:
            covered += t - since
    assert busy == pytest.approx(covered, rel=1e-6)


@pytest.mark.parametrize("scheduler", ALL)
def test_closed_loop_agrees_with_the_simulated_schedule(scheduler):
    own = limits(scheduler)
    rng = np.random.default_rng(0)
    prompts, outputs = rng.integers(400, 900, 200), rng.integers(50, 200, 200)
    times = play_requests(own, prompts, outputs, 20, resubmit_steps=1).request_times(Affine())
    requests = Requests(np.zeros(200), prompts, outputs)
    result = simulate([SimulatedGroup(Affine(), own, 1)], requests, concurrency=20)
    assert result.latency_s("ttft").mean() == pytest.approx(times.ttft_s.mean(), rel=0.01)
    assert result.latency_s("tpot").mean() == pytest.approx(times.tpot_s.mean(), rel=0.01)
    assert np.nanmax(result.end_s) == pytest.approx(times.end_s.max(), rel=0.01)


def test_a_seed_gives_the_same_run_and_another_seed_another():
    first, again, other = run(seed=7), run(seed=7), run(seed=8)
    assert np.array_equal(first.end_s, again.end_s)
    assert not np.array_equal(first.end_s[:50], other.end_s[:50])


def test_a_full_queue_sheds_and_sheds_count_as_misses():
    result = run(limits(seqs=4), rate=30.0, seconds=30.0, routing=Routing(max_queue=10))
    assert 0.2 < result.shed_share < 1
    assert np.isinf(result.latency_s("ttft")[result.shed]).all()
    slo = Slo.model_validate({"ttft_p50": "1000s"})
    outcome = Study((result,)).outcome(slo.targets[0])
    assert outcome.met == pytest.approx(1 - result.shed_share, abs=0.01)


def test_a_rate_nobody_holds_ends_as_overloaded_with_bounded_memory():
    result = run(limits(seqs=2), rate=200.0, seconds=60.0, max_backlog=500)
    assert result.overloaded
    assert len(result.arrival_s) < 2000


def test_prompts_that_cannot_ever_fit_are_refused_not_lost():
    result = run(limits(pool_tokens=1000), rate=2.0, seconds=60.0)
    too_long = result.prompt_tokens + result.output_tokens - 1 > 992
    assert np.array_equal(result.shed, too_long)


def test_cold_start_delays_the_first_tokens():
    requests = open_loop(LENGTHS, Arrivals(), 2.0, 60.0, 1)
    group = SimulatedGroup(Affine(), limits(), 2, ready_s=(0.0, 30.0))
    result = simulate([group], requests, Routing(policy="round-robin"))
    early = result.arrival_s < 30
    assert set(result.replica[early]) == {0}
    assert set(result.replica[~early]) == {0, 1}
    nobody = simulate([SimulatedGroup(Affine(), limits(), 1, ready_s=(20.0,))], requests)
    assert nobody.first_token_s.min() > 20


def test_retired_replicas_take_no_more():
    requests = open_loop(LENGTHS, Arrivals(), 2.0, 60.0, 1)
    group = SimulatedGroup(Affine(), limits(), 2, retire_s=(30.0, math.inf))
    result = simulate([group], requests, Routing(policy="round-robin"))
    assert set(result.replica[result.arrival_s >= 30]) == {1}


def test_groups_share_requests_by_weight():
    requests = open_loop(LENGTHS, Arrivals(), 8.0, 100.0, 1)
    groups = [
        SimulatedGroup(Affine(), limits(), 1, weight=3),
        SimulatedGroup(Affine(), limits(), 1),
    ]
    result = simulate(groups, requests)
    assert (result.replica == 0).mean() == pytest.approx(0.75, abs=0.01)


def test_separate_pools_prefill_then_decode_after_the_link():
    requests = open_loop(LENGTHS, Arrivals(), 4.0, 60.0, 1)
    group = SimulatedGroup(Affine(), limits(), 1)
    pool = DecodePool(group, link_gb_s=1e-6, link_latency_s=0.05)  # 2 B a token: 2 ms per token
    apart = simulate([replace(group, decode=pool)], requests)
    together = simulate([group], requests)
    assert not np.isnan(apart.end_s).any()
    prefilled = apart.start_s + 0.05 + 0.002 * apart.prompt_tokens
    assert np.all(apart.first_token_s > prefilled)  # the first token waits for the KV cache
    # nobody prefills beside the decoding requests
    assert apart.gap_percentile_s(99) < together.gap_percentile_s(99)


def test_prefix_cache_saves_prefill_and_prefix_aware_routing_saves_more():
    rng = np.random.default_rng(0)
    chats = [tuple(range(100 * c, 100 * c + 8)) for c in range(16)]
    prefix = tuple(chats[c] for c in rng.integers(0, 16, 300))
    requests = Requests(
        np.cumsum(rng.exponential(0.1, 300)),
        np.full(300, 8 * 512),
        np.full(300, 40),
        prefix,
    )
    group = SimulatedGroup(Affine(), limits(pool_tokens=400_000, prefix_caching=True), 4)
    cached = {
        policy: simulate([group], requests, Routing(policy=policy)).cached_share
        for policy in ("round-robin", "prefix-aware")
    }
    assert 0.5 < cached["round-robin"] < cached["prefix-aware"] < 1
    small = SimulatedGroup(Affine(), limits(pool_tokens=12_000, prefix_caching=True), 4)
    evicted = simulate([small], requests, Routing(policy="round-robin")).cached_share
    assert evicted < cached["round-robin"]


def test_a_preempted_sequence_finds_its_blocks_again_with_prefix_caching():
    tight = {"pool_tokens": 12_000, "seqs": 64}
    computed = {
        caching: run(limits(**tight, prefix_caching=caching), rate=8.0).prefilled_tokens
        for caching in (False, True)
    }
    assert computed[True] < computed[False]


def test_requests_that_find_a_full_queue_were_in_no_cache():
    requests = Requests(np.zeros(100), np.full(100, 500), np.full(100, 20))
    group = SimulatedGroup(Affine(), limits(seqs=4), 1)
    result = simulate([group], requests, Routing(max_queue=2))
    assert result.shed.mean() > 0.5
    assert result.cached_share == 0


def test_constant_share_of_cached_prompts():
    result = run(prefix_hit_share=0.5)
    assert result.cached_share == pytest.approx(0.5, abs=0.01)


def test_intervals_narrow_with_the_run_and_say_when_it_is_too_short():
    short = Study((run(seconds=40.0),)).percentile("ttft", 99)
    long = Study((run(seconds=600.0, warm_up_s=20.0),)).percentile("ttft", 99)
    assert not short.enough
    assert long.enough
    assert long.low_s <= long.value_s <= long.high_s


def test_replications_pool_their_requests():
    study = Study(tuple(run(seed=s, seconds=60.0, warm_up_s=10.0) for s in range(4)))
    assert len(study.batches("ttft")) == 20
    estimate = study.percentile("tpot", 90)
    assert estimate.requests == sum(
        int((r.measured & (r.output_tokens > 1)).sum()) for r in study.runs
    )


def test_one_token_responses_have_no_tpot():
    requests = open_loop(constant(500, 1), Arrivals(), 2.0, 30.0, 1)
    result = simulate([SimulatedGroup(Affine(), limits(), 1)], requests)
    assert np.isnan(result.latency_s("tpot")).all()
    assert not np.isnan(result.latency_s("e2e")).any()


def test_rates_and_durations_must_be_positive():
    with pytest.raises(InputError, match="positive rate"):
        open_loop(LENGTHS, Arrivals(), 0.0, 10.0, 1)


def test_a_chunked_prompt_waits_until_the_pool_has_room_for_all_of_it():
    """vLLM asks for the whole prompt's blocks before it admits the first chunk."""
    own = limits(pool_tokens=1_600, budget=256)
    requests = Requests(np.array([0.0, 0.1]), np.array([800, 1_000]), np.array([100, 2]))
    result = simulate([SimulatedGroup(Affine(), own, 1)], requests)
    assert result.start_s[1] >= result.end_s[0]
    assert not result.preemptions.any()
