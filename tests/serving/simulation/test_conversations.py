"""Conversations in the simulator: histories kept, evicted, found again, and routed to where they are."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.schema import Routing, Service
from planner.serving.closed_form.capacity import capacity_within
from planner.serving.closed_form.conversation_load import at_load, hit_share
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.conversation_requests import conversation_requests
from planner.serving.simulation.history_cache import HistoryCache
from planner.serving.simulation.prefix_cache import PrefixCache
from planner.serving.simulation.replica import Replica
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.schedulers.registry import composer
from planner.serving.simulation.sequence import Sequence
from planner.serving.simulation.simulator import simulate
from planner.workload.lengths import lengths_of

ALL = list(Scheduler)
BLOCK = 16


class Affine:
    admission_s = 0.0

    def step_seconds(self, b: StepBatch):
        return (
            0.008
            + 4e-5 * b.decode_sequences
            + 2e-8 * b.decode_context_tokens
            + 2e-5 * b.prefill_tokens
        )


class Silent:
    def first_token(self, sequence):
        pass

    def resumed(self, sequence):
        pass

    def finished(self, sequence):
        pass


def limits(pool_tokens, scheduler=Scheduler.CHUNKED_PREFILL):
    return ReplicaLimits(
        scheduler,
        128,
        8192,
        kv_pool_bytes=2.0 * pool_tokens,
        kv_block_bytes=2.0 * BLOCK,
        chunked=scheduler is not Scheduler.NO_EVICT,
        prefix_caching=True,
    )


def service(policy="prefix-aware", think="20s", rate=4.0) -> Service:
    return Service.model_validate(
        {
            "model": "m",
            "rate": rate,
            "prompt_tokens": {"mean": 3000, "cv": 0.4},
            "output_tokens": {"mean": 150, "cv": 0.7},
            "slo": {"ttft_p95": "2s", "tpot_p95": "40ms"},
            "routing": {"policy": policy},
            "conversations": {
                "turns": {"mean": 8, "cv": 0.6},
                "think_time": {"mean": think, "cv": 1.0},
                "growth": {"mean": 400, "cv": 1.0},
                "shared_system_prompt": 1000,
            },
        }
    )


def run(wanted: Service, replicas: int, pool_tokens: int, seconds=900.0, seed=1):
    requests = conversation_requests(wanted, wanted.rate, seconds, 2.0, seed)
    group = SimulatedGroup(Affine(), limits(pool_tokens), replicas)
    return simulate(
        [group],
        requests,
        Routing(policy=wanted.routing.policy),
        warm_up_s=60.0,
        measured_until_s=seconds - 20,
    )


def step(core: Replica) -> None:
    planned = core.plan()
    assert planned is not None
    planned.steps = 1
    core.commit(planned, Silent())


def finish(core: Replica, sequence: Sequence) -> int:
    """Run one sequence alone; what it found cached."""
    core.submit(sequence)
    step(core)
    found = sequence.cached
    while core.in_flight:
        step(core)
    return found


@pytest.mark.parametrize("scheduler", ALL)
def test_the_next_turn_finds_the_whole_blocks_of_its_history(scheduler):
    core = Replica(limits(10**5, scheduler), composer(scheduler), None, HistoryCache())
    assert finish(core, Sequence(0, 100, 30, conversation=7)) == 0
    held = (100 + 30 - 1) // BLOCK * BLOCK
    assert core.used_blocks == 0
    assert core.histories.blocks * BLOCK == held
    assert finish(core, Sequence(1, 150, 30, conversation=8)) == 0
    assert finish(core, Sequence(2, 200, 30, conversation=7)) == held


@pytest.mark.parametrize("scheduler", ALL)
def test_the_shared_prompt_is_held_once(scheduler):
    shared, own = 10 * BLOCK, 4 * BLOCK
    core = Replica(
        limits(10**5, scheduler), composer(scheduler), PrefixCache(shared, 10), HistoryCache()
    )
    finish(core, Sequence(0, shared + own, 20, (0,), conversation=0))
    for index in range(1, 6):
        core.submit(Sequence(index, shared + own, 64, (0,), conversation=index))
        step(core)
    least = shared + 5 * own
    most = shared + 5 * (own + 80)
    assert least <= core.used_blocks * BLOCK <= most


def test_the_oldest_history_loses_its_tail_first():
    cache = HistoryCache()
    cache.leave(1, 10)
    cache.leave(2, 10)
    cache.shrink(15)
    assert (cache.found(1), cache.found(2)) == (5, 10)
    cache.leave(1, cache.take(1) + 2)  # used again: now the youngest
    cache.shrink(10)
    assert (cache.found(1), cache.found(2)) == (7, 3)
    cache.shrink(0)
    assert (len(cache), cache.blocks) == (0, 0)


def test_running_sequences_and_histories_never_exceed_the_pool():
    core = Replica(limits(2000), composer(Scheduler.CHUNKED_PREFILL), None, HistoryCache())
    rng = np.random.default_rng(3)
    for index in range(200):
        core.submit(Sequence(index, int(rng.integers(50, 400)), 40, conversation=index % 11))
        for _ in range(int(rng.integers(1, 30))):
            if core.in_flight:
                step(core)
            assert core.used_blocks + core.histories.blocks <= core.pool_blocks + 1e-9


def test_turns_come_at_the_stated_rate_from_the_start_on():
    found = run(service(), 2, 10**6)
    arrived = found.arrival_s
    assert np.all(np.diff(arrived) >= 0)
    early = ((arrived >= 0) & (arrived < 200)).sum() / 200
    late = ((arrived >= 600) & (arrived < 880)).sum() / 280
    assert early == pytest.approx(4.0, rel=0.15)
    assert late == pytest.approx(4.0, rel=0.15)


def test_a_turn_never_precedes_the_answer_before_it():
    wanted = service()
    requests = conversation_requests(wanted, 4.0, 600.0, 2.0, 1)
    talk = requests.dialogue
    followers = talk.next_turn[talk.next_turn >= 0]
    assert len(set(followers.tolist())) == len(followers)
    assert set(talk.begins.tolist()) | set(followers.tolist()) == set(range(len(requests)))


def test_hits_are_what_the_closed_form_says():
    """One replica, from ample room to little: the hit share within 5 points, and TTFT within a third."""
    for pool in (2_000_000, 500_000, 250_000):
        found = run(service(), 1, pool)
        lengths = lengths_of(service())
        flight = found.batch_mean
        closed = hit_share(at_load(Affine(), limits(pool), lengths, 4.0, flight))
        assert found.hit_share == pytest.approx(closed, abs=0.05)


def test_capacity_is_near_the_simulator():
    """The closed form's capacity with histories: the targets hold there and not at 1.3 times as much."""
    wanted = service()
    for pool in (2_000_000, 400_000):
        closed = capacity_within(Affine(), limits(pool), lengths_of(wanted), wanted.slo)
        assert closed.qps > 0
        for factor, holds in ((0.85, True), (1.3, False)):
            rate = factor * closed.qps
            found = run(service(rate=rate), 1, pool, seconds=max(600.0, 3000 / rate))
            met = all(
                np.mean(found.latency_s(t.metric)[found.measured] <= t.seconds)
                >= t.percentile / 100
                for t in wanted.slo.targets
            )
            assert met == holds, (pool, factor)


def test_prefix_aware_routing_keeps_histories_that_others_lose():
    aware = run(service(), 4, 10**6).hit_share
    blind = run(service("least-loaded"), 4, 10**6).hit_share
    assert aware > 0.85
    assert blind < aware - 0.2


def test_a_longer_pause_costs_hits_when_room_is_short():
    short = run(service(think="10s"), 1, 200_000).hit_share
    long = run(service(think="40s"), 1, 200_000).hit_share
    assert long < short - 0.05


def test_without_prefix_caching_nothing_is_found():
    requests = conversation_requests(service(), 1.0, 300.0, 2.0, 1)
    off = replace(limits(10**6), prefix_caching=False)
    found = simulate([SimulatedGroup(Affine(), off, 2)], requests)
    assert found.hit_share == 0


def test_ten_thousand_turns_take_less_than_ten_seconds():
    started = time.process_time()
    found = run(service(), 3, 600_000, seconds=2500.0)
    assert len(found.arrival_s) > 9_000
    assert time.process_time() - started < 10
