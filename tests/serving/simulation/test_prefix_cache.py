"""Shared prompt blocks: held once a replica, kept while the pool has room, evicted when it has not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.schema import Routing
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.prefix_cache import PrefixCache
from planner.serving.simulation.replica import Replica
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import Requests, from_trace
from planner.serving.simulation.schedulers.registry import composer
from planner.serving.simulation.sequence import Sequence
from planner.serving.simulation.simulator import simulate
from planner.workload.trace import read_trace
from planner.workload.trace_statistics import describe

ALL = list(Scheduler)
ID_TOKENS = 64
BLOCK = 16


class Affine:
    admission_s = 0.0

    def step_seconds(self, b: StepBatch):
        return 0.01 + 1e-5 * b.decode_sequences + 2e-5 * b.prefill_tokens


class Silent:
    def first_token(self, sequence):
        pass

    def resumed(self, sequence):
        pass

    def finished(self, sequence):
        pass


def limits(scheduler, pool_tokens, budget=4096):
    return ReplicaLimits(
        scheduler,
        64,
        budget,
        kv_pool_bytes=2.0 * pool_tokens,
        kv_block_bytes=2.0 * BLOCK,
        chunked=scheduler is not Scheduler.NO_EVICT,
        prefix_caching=True,
    )


def replica(scheduler, pool_tokens=10**6) -> Replica:
    cache = PrefixCache(ID_TOKENS, ID_TOKENS // BLOCK)
    return Replica(limits(scheduler, pool_tokens), composer(scheduler), cache)


def step(core: Replica) -> None:
    planned = core.plan()
    assert planned is not None
    planned.steps = 1
    core.commit(planned, Silent())


@pytest.mark.parametrize("scheduler", ALL)
@pytest.mark.parametrize("others", [1, 7, 30])
def test_a_shared_prefix_is_held_once(scheduler, others):
    """N requests with the same prefix hold the prefix and N times what is their own."""
    core = replica(scheduler)
    shared, own, output = 10 * ID_TOKENS, 3 * BLOCK, 40
    for index in range(1 + others):
        core.submit(Sequence(index, shared + own, output, tuple(range(10))))
        step(core)
    held = BLOCK * core.used_blocks
    if scheduler is Scheduler.NO_EVICT:
        unique = own + -(-(output - 1) // BLOCK) * BLOCK
        assert held == shared + (1 + others) * unique
    else:
        least = shared + (1 + others) * own
        assert least <= held <= least + (1 + others) * 2 * BLOCK
    while core.in_flight:
        step(core)
    assert core.used_blocks == 0
    assert len(core.cache) == 10


@pytest.mark.parametrize("scheduler", ALL)
def test_prompts_computed_side_by_side_hold_their_own_copies(scheduler):
    """Two prompts that start together find nothing of each other, as in an engine's block table."""
    core = replica(scheduler)
    for index in range(2):
        core.submit(Sequence(index, 4 * ID_TOKENS, 8, (1, 2, 3, 4)))
    step(core)
    assert core.used_blocks * BLOCK >= 2 * 4 * ID_TOKENS
    while core.in_flight:
        step(core)
    assert core.used_blocks == 0


def test_the_least_recently_used_gives_way_and_a_prefix_loses_its_end_first():
    cache = PrefixCache(ID_TOKENS, 4)
    cache.use([1, 2, 3])
    cache.use([7, 8])
    cache.leave([1, 2, 3])
    cache.leave([7, 8])
    assert cache.held_blocks == 0
    cache.shrink(4 * 4)
    assert (cache.blocks_held((1, 2, 3)), cache.blocks_held((7, 8))) == (2, 2)
    cache.use([1, 2])
    cache.leave([1, 2])
    cache.shrink(3 * 4)
    assert (cache.blocks_held((1, 2, 3)), cache.blocks_held((7, 8))) == (2, 1)


def test_blocks_in_use_are_never_evicted():
    cache = PrefixCache(ID_TOKENS, 4)
    cache.use([1, 2])
    cache.use([1])
    cache.leave([1, 2])
    cache.shrink(0)
    assert cache.held_blocks == 4
    assert cache.knows(1)
    assert not cache.knows(2)


@settings(deadline=None, max_examples=60)
@given(
    scheduler=st.sampled_from(ALL),
    pool_tokens=st.integers(2_000, 40_000),
    chats=st.integers(1, 20),
    routing=st.sampled_from(["least-loaded", "prefix-aware"]),
    replicas=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_nothing_is_lost_and_the_pool_is_never_exceeded(
    scheduler, pool_tokens, chats, routing, replicas, seed
):
    rng = np.random.default_rng(seed)
    count = 60
    blocks = rng.integers(0, 12, count)
    chat = rng.integers(0, chats, count)
    prefix = tuple(
        tuple(range(100 * c, 100 * c + b + 1)) for c, b in zip(chat, blocks, strict=True)
    )
    prompts = blocks * ID_TOKENS + rng.integers(1, ID_TOKENS + 1, count)
    arrivals = np.cumsum(rng.exponential(0.1, count))
    requests = Requests(arrivals, prompts, rng.integers(1, 200, count), prefix, ID_TOKENS)
    group = SimulatedGroup(Affine(), limits(scheduler, pool_tokens, 512), replicas)
    result = simulate([group], requests, Routing(policy=routing))
    assert not np.isnan(result.end_s).any()
    assert np.all((result.series.kv_used_share >= 0) & (result.series.kv_used_share <= 1 + 1e-9))
    stay = result.end_s - result.arrival_s
    assert result.requests_area_s == pytest.approx(stay.sum(), rel=1e-6)


@pytest.mark.parametrize("scheduler", ALL)
def test_a_trace_with_prefixes_hits_what_repeats_and_less_in_a_tight_pool(scheduler):
    trace = read_trace("mooncake_conversation")
    requests = from_trace(trace, rate_scale=0.05)
    longest = int((requests.prompt_tokens + requests.output_tokens).max())

    def cached(pool_tokens: int) -> float:
        group = SimulatedGroup(Affine(), limits(scheduler, pool_tokens, 2 * longest), 1)
        return simulate([group], requests).cached_share

    everything = describe(trace).prefix_share
    assert cached(10**9) == pytest.approx(everything, abs=0.01)
    assert cached(longest + 1000) < 0.7 * everything


def test_of_replicas_that_know_a_prompt_equally_the_least_loaded_gets_it():
    """A system prompt that every replica holds does not bring all new conversations to the first."""
    shared = tuple(range(8))
    count = 2000
    prompts = tuple((*shared, *range(100 + 8 * i, 108 + 8 * i)) for i in range(count))
    requests = Requests(
        np.arange(count) * 0.004,
        np.full(count, 256),
        np.full(count, 40),
        prompts,
        16,
        recorded=True,
    )
    own = ReplicaLimits(
        Scheduler.CHUNKED_PREFILL,
        64,
        4096,
        kv_pool_bytes=2.0 * 40_000,
        kv_block_bytes=2.0 * BLOCK,
        kv_block_tokens=BLOCK,
        prefix_caching=True,
    )
    groups = [SimulatedGroup(Affine(), own, 4)]
    run = simulate(groups, requests, Routing(policy="prefix-aware"))
    answered = np.bincount(run.replica[count // 2 :], minlength=4)
    assert answered.min() > 0.6 * answered.max()


@pytest.mark.parametrize("scheduler", ALL)
@pytest.mark.parametrize("pool_tokens", [10**6, 3000])
def test_a_turn_finds_the_answer_before_it(scheduler, pool_tokens):
    """Whole blocks of prompt and answer stay; in a tight pool nothing is held once all have ended."""
    core = replica(scheduler, pool_tokens)
    first, answer, second = 5 * ID_TOKENS, 3 * ID_TOKENS + 10, 12 * ID_TOKENS
    for turn, (prompt, output) in enumerate([(first, answer), (second, 20)]):
        sequence = Sequence(turn, prompt, output, tuple(range((prompt + output) // ID_TOKENS)))
        sequence.answered = True
        assert core.tokens_known(sequence) == (8 * ID_TOKENS if turn else 0)
        core.submit(sequence)
        while core.in_flight:
            step(core)
    assert core.used_blocks == 0
    assert core.cache is not None
    assert core.cache.held_blocks == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(ALL))
def test_answers_in_the_cache_lose_no_block(seed, scheduler):
    """Conversations in a pool that holds a few: every block is given back, every request answered."""
    rng = np.random.default_rng(seed)
    core = replica(scheduler, 6000)
    fresh = 0
    for _ in range(6):
        chain: list[int] = []
        prompt = int(rng.integers(20, 1500))
        for _ in range(int(rng.integers(1, 5))):
            output = int(rng.integers(1, 300))
            whole = (prompt + output) // ID_TOKENS
            chain += range(fresh, fresh + max(0, whole - len(chain)))
            fresh += whole
            sequence = Sequence(0, prompt, output, tuple(chain[:whole]))
            sequence.answered = True
            core.submit(sequence)
            prompt = min(prompt + output + int(rng.integers(1, 200)), 5000)
            for _ in range(int(rng.integers(1, 40))):
                if core.in_flight:
                    step(core)
    for _ in range(200_000):
        if not core.in_flight:
            break
        step(core)
    assert core.in_flight == 0
    assert core.used_blocks == pytest.approx(0)
