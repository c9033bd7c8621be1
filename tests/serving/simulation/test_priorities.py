"""Request classes that share replicas: the order of the queue, who gives way, and textbook waits."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.engine import Scheduler
from planner.errors import InputError
from planner.performance.steps import StepBatch
from planner.scenario.schema import Routing
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.compiled.library import SWITCH, built_library
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import Requests
from planner.serving.simulation.simulator import simulate
from tests.serving.simulation.test_compiled import LIMITS, Affine, assert_equal, both, built


@dataclasses.dataclass
class OneByOne:
    """A server: a prompt token takes a millisecond, and nothing else takes time."""

    admission_s: float = 0.0

    def step_seconds(self, b: StepBatch):
        return 1e-3 * b.prefill_tokens + 1e-9


def queue_of_one(most=1, **more):
    limits = ReplicaLimits(Scheduler.CHUNKED_PREFILL, most, 1_000_000, **more)
    return [SimulatedGroup(OneByOne(), limits, 1)]


def arriving(rate, count, prompts, shares, seed):
    """Poisson arrivals whose class ``k`` has a share and a service time of its own [tokens]."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(len(shares), count, p=shares)
    drawn = np.array([p(rng, count) for p in prompts])[classes, np.arange(count)]
    return Requests(
        np.cumsum(rng.exponential(1 / rate, count)),
        np.maximum(np.rint(drawn).astype(np.int64), 1),
        np.ones(count, dtype=np.int64),
        classes=classes,
        levels=classes,
    )


def fcfs(requests):
    return dataclasses.replace(requests, levels=None)


def cobham(rates, first, second):
    """Mean waits of a non-preemptive M/G/1 queue by class, the first served first (Cobham 1954) [s].

    rates: arrivals [1/s]; first, second: moments of each class's service time [s, s^2].
    """
    rest = sum(r * m for r, m in zip(rates, second, strict=True)) / 2
    loads = np.cumsum([0.0, *(r * m for r, m in zip(rates, first, strict=True))])
    return [rest / (1 - a) / (1 - b) for a, b in itertools.pairwise(loads)]


@pytest.mark.parametrize(
    ("shares", "rate", "names"),
    [
        ((0.5, 0.5), 6.0, ("constant", "constant")),
        ((0.3, 0.7), 7.0, ("constant", "exponential")),
        ((0.2, 0.3, 0.5), 8.0, ("exponential", "constant", "exponential")),
    ],
)
def test_waits_are_those_of_a_non_preemptive_priority_queue(shares, rate, names):
    drawn = {
        "constant": (lambda _rng, n: np.full(n, 100), 0.1, 0.01),
        "exponential": (lambda rng, n: rng.exponential(100, n), 0.1, 0.02),
    }
    requests = arriving(rate, 600_000, [drawn[n][0] for n in names], shares, 3)
    found = simulate(queue_of_one(), requests, max_backlog=10**9)
    expected = cobham(
        [rate * s for s in shares], [drawn[n][1] for n in names], [drawn[n][2] for n in names]
    )
    for number, mean in enumerate(expected):
        wait = found.of_class(number).latency_s("wait").mean()
        assert wait == pytest.approx(mean, rel=0.05), names[number]


@settings(deadline=None, max_examples=60)
@given(
    rate=st.floats(1, 14),
    share=st.floats(0.05, 0.95),
    spread=st.floats(0.1, 3),
    seed=st.integers(0, 10_000),
)
def test_the_first_class_never_waits_longer_than_first_come_first_served(rate, share, spread, seed):
    """One at a time, work is conserved, so that it holds for every request."""
    drawn = [
        lambda _rng, n: np.full(n, 80),
        lambda rng, n: rng.gamma(1 / spread**2, 100 * spread**2, n),
    ]
    requests = arriving(rate, 300, drawn, (share, 1 - share), seed)
    ordered = simulate(queue_of_one(), requests)
    alike = simulate(queue_of_one(), fcfs(requests))
    first = requests.levels == 0
    assert (ordered.start_s[first] <= alike.start_s[first] + 1e-9).all()
    assert ordered.prefilled_tokens == alike.prefilled_tokens
    assert ordered.end_of_run_s == pytest.approx(alike.end_of_run_s)
    assert ordered.prefill_busy_s == pytest.approx(alike.prefill_busy_s)


@settings(deadline=None, max_examples=30)
@given(
    limits=LIMITS.filter(lambda x: x.ranks == 1 and x.kv_pool_bytes == float("inf")),
    rate=st.floats(1, 30),
    seed=st.integers(0, 1000),
)
def test_equal_priorities_are_first_come_first_served(limits, rate, seed):
    rng = np.random.default_rng(seed)
    requests = Requests(
        np.cumsum(rng.exponential(1 / rate, 200)),
        rng.integers(1, 3000, 200),
        rng.integers(1, 200, 200),
    )
    level = dataclasses.replace(requests, levels=np.zeros(200, dtype=np.int64))
    group = [SimulatedGroup(Affine(), limits, 1)]
    assert_equal(simulate(group, level), simulate(group, requests))


@built
@settings(deadline=None, max_examples=80)
@given(
    limits=LIMITS,
    replicas=st.integers(1, 3),
    policy=st.sampled_from(["round-robin", "random", "least-loaded"]),
    levels=st.integers(1, 4),
    rate=st.sampled_from([2.0, 10.0, 40.0]),
    most=st.sampled_from([None, 5]),
    concurrency=st.sampled_from([None, None, 30]),
    seed=st.integers(0, 1000),
)
def test_the_core_and_the_loop_order_alike(
    limits, replicas, policy, levels, rate, most, concurrency, seed
):
    rng = np.random.default_rng(seed)
    count = 200
    requests = Requests(
        np.cumsum(rng.exponential(1 / rate, count)),
        rng.integers(1, 2500, count),
        rng.integers(1, 800, count),
        classes=rng.integers(0, 5, count),
        levels=rng.integers(0, levels, count),
    )
    with pytest.MonkeyPatch.context() as patch:
        compiled, loop = both(
            patch,
            [SimulatedGroup(Affine(), limits, replicas)],
            requests,
            Routing(policy=policy, max_queue=most),
            concurrency=concurrency,
        )
    assert_equal(compiled, loop)
    if most is None and limits.kv_pool_bytes == float("inf"):
        assert (compiled.end_s >= compiled.arrival_s).all()


@pytest.mark.parametrize("core", ["0", "1"])
def test_what_is_served_last_gives_way_where_the_pool_is_short(monkeypatch, core):
    """vLLM takes the KV of the lowest class, whenever it was admitted."""
    if core == "1" and built_library() is None:
        pytest.skip("the compiled core is not built")
    monkeypatch.setenv(SWITCH, core)
    limits = ReplicaLimits(
        Scheduler.CHUNKED_PREFILL, 64, 2048, kv_pool_bytes=12_000, kv_block_tokens=16,
        kv_block_bytes=16.0, prefix_caching=True,
    )  # fmt: skip
    rng = np.random.default_rng(5)
    count = 600
    levels = (rng.random(count) < 0.7).astype(np.int64)
    requests = Requests(
        np.cumsum(rng.exponential(0.25, count)),
        rng.integers(100, 600, count),
        rng.integers(200, 900, count),
        classes=levels,
        levels=levels,
    )
    found = simulate([SimulatedGroup(Affine(), limits, 1)], requests)
    first, last = found.of_class(0), found.of_class(1)
    assert last.preemptions.sum() > 50
    assert first.preemptions.sum() < 0.05 * last.preemptions.sum()
    alike = simulate([SimulatedGroup(Affine(), limits, 1)], fcfs(requests))
    assert first.latency_s("ttft").mean() < 0.5 * alike.of_class(0).latency_s("ttft").mean()


def test_priorities_do_not_go_with_prompts_whose_blocks_are_known():
    requests = Requests(
        np.array([0.0]), np.array([512]), np.array([1]), ((1,),), levels=np.array([0])
    )
    with pytest.raises(InputError, match="prefix caches"):
        simulate(queue_of_one(), requests)
