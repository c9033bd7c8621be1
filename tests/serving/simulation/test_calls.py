"""Calls of several prompts: all to one replica, over when the last is answered."""

from __future__ import annotations

import numpy as np
import pytest

from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Arrivals, Routing
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import Requests, open_loop_calls
from planner.serving.simulation.simulator import simulate
from planner.workload.lengths import joint_lengths

POLICIES = ("round-robin", "random", "least-loaded")
LENGTHS = joint_lengths(Lengths(mean=500, cv=1.2, max=6000), Lengths(mean=1))
STEP_S, TOKEN_S = 0.008, 2e-5


class Affine:
    """A step takes 8 ms and 20 us a token."""

    admission_s = 0.0

    def step_seconds(self, b: StepBatch):
        return STEP_S + TOKEN_S * (b.decode_sequences + b.prefill_tokens)


def fleet(replicas):
    own = ReplicaLimits(Scheduler.CHUNKED_PREFILL, 64, 8192, kv_pool_bytes=4e6, kv_block_bytes=32.0)
    return [SimulatedGroup(Affine(), own, replicas)]


@pytest.fixture(params=["core", "loop"], autouse=True)
def _both_ways(request, monkeypatch):
    monkeypatch.setenv("PLANNER_COMPILED_CORE", "1" if request.param == "core" else "0")


def requests(each=5, seconds=120.0, rate=10.0):
    return open_loop_calls(LENGTHS, Arrivals(), each, rate, seconds, 3)


def test_the_rate_counts_prompts_and_arrivals_are_of_calls():
    found = requests(each=20, seconds=4000.0)
    assert len(found) % 20 == 0
    assert found.rate_qps == pytest.approx(10.0, rel=0.1)
    times = np.unique(found.arrival_s)
    assert len(times) == len(found) / 20
    gaps = np.diff(times)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("policy", POLICIES)
def test_results_are_of_calls(policy):
    sent = requests()
    run = simulate(fleet(replicas=3), sent, Routing(policy=policy))
    assert len(run.arrival_s) == len(sent) / 5
    assert run.prompt_tokens.sum() == sent.prompt_tokens.sum()
    assert not run.shed.any()
    assert np.all(run.end_s > run.arrival_s)


def test_a_call_takes_as_long_as_its_prompts_in_one_step():
    """On an idle replica."""
    one = simulate(fleet(replicas=1), Requests(np.zeros(1), np.array([100]), np.array([1])))
    count = np.full(8, 100), np.ones(8, dtype=np.int64)
    call = simulate(
        fleet(replicas=1), Requests(np.zeros(8), *count, calls=np.zeros(8, dtype=np.int64))
    )
    assert one.end_s[0] == pytest.approx(STEP_S + 100 * TOKEN_S)
    assert call.end_s[0] == pytest.approx(STEP_S + 800 * TOKEN_S)


@pytest.mark.parametrize("policy", POLICIES)
def test_calls_are_slower_than_their_prompts_apart(policy):
    """Prompts that come together go to one replica and end together; apart they are spread."""
    sent = requests(each=10, seconds=600.0)
    apart = Requests(sent.arrival_s, sent.prompt_tokens, sent.output_tokens)
    mean = [
        float(np.nanmean(run.end_s - run.arrival_s))
        for run in (simulate(fleet(replicas=4), r, Routing(policy=policy)) for r in (sent, apart))
    ]
    assert mean[0] > mean[1]


def test_a_refused_prompt_is_a_refused_call():
    run = simulate(fleet(replicas=1), requests(each=40, rate=200.0), Routing(max_queue=10))
    assert run.shed.mean() > 0.1


def test_an_overloaded_run_ends_with_what_was_sent():
    run = simulate(fleet(replicas=1), requests(rate=500.0, seconds=60.0), max_backlog=500)
    assert run.overloaded
    assert len(run.arrival_s) == len(run.end_s)
