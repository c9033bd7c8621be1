"""The simulator against queues whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.schema import Arrivals, Routing
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import Requests, open_loop
from planner.serving.simulation.simulator import simulate
from planner.workload.lengths import JointLengths, constant


class PerToken:
    """A step takes as long as its prompt tokens say; decode is not used."""

    admission_s = 0.0

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def step_seconds(self, b: StepBatch):
        return self.seconds * b.prefill_tokens


class Shared:
    """A decode step takes time in proportion to its batch: pure processor sharing."""

    admission_s = 0.0

    def step_seconds(self, b: StepBatch):
        return 0.001 * b.decode_sequences + 1e-9 * b.prefill_tokens


def one_server() -> ReplicaLimits:
    return ReplicaLimits(Scheduler.NO_EVICT, 1, 10**6, chunked=False)


def waits(lengths: JointLengths, rate: float, seconds_per_token: float, n: int, seed: int = 3):
    requests = open_loop(lengths, Arrivals(), rate, n / rate, seed)
    result = simulate([SimulatedGroup(PerToken(seconds_per_token), one_server(), 1)], requests)
    return result.latency_s("wait")[n // 20 :]


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_constant_service_is_m_d_1(load):
    mean = waits(constant(100, 1), load / 0.1, 0.001, 60_000).mean()
    assert mean == pytest.approx(load * 0.1 / (2 * (1 - load)), rel=0.06)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_exponential_service_is_m_m_1(load):
    u = (np.arange(4096) + 0.5) / 4096
    prompt = np.maximum(1, np.round(-1000 * np.log(1 - u))).astype(np.int64)
    lengths = JointLengths(prompt, np.ones_like(prompt))
    service = lengths.mean_prompt * 1e-4
    found = waits(lengths, load / service, 1e-4, 80_000)
    assert found.mean() == pytest.approx(load * service / (1 - load), rel=0.08)
    # P(W > t) = rho exp(-(1 - rho) t / s)
    t = 2 * service
    assert (found > t).mean() == pytest.approx(load * np.exp(-(1 - load) * 2), rel=0.08)


@pytest.mark.parametrize("load", [0.3, 0.7])
@pytest.mark.parametrize("spread", [0, 150])
def test_decode_is_processor_sharing_whatever_the_lengths(load, spread):
    # S = o x 1 ms of work; mean stay S / (1 - load) for any distribution of o
    output = np.array([201 - spread, 201 + spread])
    lengths = JointLengths(np.array([1, 1]), output)
    service = 0.2
    rate = load / service
    count = 50_000 if load > 0.5 else 15_000
    requests = open_loop(lengths, Arrivals(), rate, count / rate, 1)
    limits = ReplicaLimits(Scheduler.CHUNKED_PREFILL, 10_000, 10**6)
    result = simulate([SimulatedGroup(Shared(), limits, 1)], requests)
    stay = (result.end_s - result.first_token_s)[1000:]
    assert stay.mean() == pytest.approx(service / (1 - load), rel=0.06)


def test_random_splitting_of_poisson_arrivals_gives_the_single_server_wait():
    requests = open_loop(constant(100, 1), Arrivals(), 24.0, 2500.0, 1)
    result = simulate(
        [SimulatedGroup(PerToken(0.001), one_server(), 4)], requests, Routing(policy="random")
    )
    assert result.latency_s("wait").mean() == pytest.approx(0.6 * 0.1 / 0.8, rel=0.06)


def test_joining_the_shortest_queue_beats_turns_beats_chance():
    lengths = JointLengths(np.array([50, 150]), np.array([1, 1]))
    requests = open_loop(lengths, Arrivals(), 32.0, 1000.0, 1)
    group = [SimulatedGroup(PerToken(0.001), one_server(), 4)]
    mean = {
        policy: simulate(group, requests, Routing(policy=policy)).latency_s("wait").mean()
        for policy in ("least-loaded", "round-robin", "random")
    }
    assert mean["least-loaded"] < mean["round-robin"] < mean["random"]


@pytest.mark.parametrize(("process", "cv"), [("gamma", 2.5), ("weibull", 1.7), ("weibull", 0.5)])
def test_arrival_processes_have_their_mean_and_cv(process, cv):
    arrivals = Arrivals(process=process, cv=cv)
    requests = open_loop(constant(1, 1), arrivals, 50.0, 4000.0, 9)
    gaps = np.diff(requests.arrival_s)
    assert 1 / gaps.mean() == pytest.approx(50, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


def test_the_same_seed_gives_proportional_gaps_at_every_rate():
    slow = open_loop(constant(1, 1), Arrivals(), 5.0, 100.0, 4)
    fast = open_loop(constant(1, 1), Arrivals(), 10.0, 50.0, 4)
    n = min(len(slow), len(fast))
    assert slow.arrival_s[:n] == pytest.approx(2 * fast.arrival_s[:n])


def test_constant_arrivals_never_wait_below_full_load():
    requests = open_loop(constant(100, 1), Arrivals(process="constant"), 9.0, 100.0, 1)
    result = simulate([SimulatedGroup(PerToken(0.001), one_server(), 1)], requests)
    assert result.latency_s("wait").max() < 1e-9


def test_requests_are_required():
    empty = Requests(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    with pytest.raises(Exception, match="no requests"):
        simulate([SimulatedGroup(Shared(), one_server(), 1)], empty)
