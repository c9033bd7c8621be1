"""Tokens that a full KV pool makes vLLM compute again: the estimate against the simulator."""

from __future__ import annotations

import numpy as np
import pytest

from planner.api import solve
from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.schema import Routing, Scenario, Service
from planner.scenario.slo import Slo
from planner.serving.capacity_limit import CapacityLimit
from planner.serving.closed_form.capacity import (
    capacity_from,
    ceiling_qps,
)
from planner.serving.closed_form.rate_states import RateStates
from planner.serving.closed_form.recomputation import recomputed_tokens
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import Requests, open_loop
from planner.serving.simulation.simulator import simulate
from planner.workload.lengths import JointLengths, lengths_of


class Affine:
    admission_s = 0.0

    def step_seconds(self, batch: StepBatch):
        return (
            0.008
            + 4e-5 * batch.decode_sequences
            + 2e-8 * batch.decode_context_tokens
            + 2e-5 * batch.prefill_tokens
        )


def chat(prompt: float, output: float, cv: float) -> tuple[Service, JointLengths]:
    service = Service.model_validate(
        {
            "model": "meta-llama/Llama-3.1-8B-Instruct",
            "rate": 1,
            "prompt_tokens": {"mean": prompt, "cv": cv, "max": 4 * prompt},
            "output_tokens": {"mean": output, "cv": cv, "max": 4 * output},
            "slo": {"ttft_p99": "9s"},
        }
    )
    return service, lengths_of(service)


def limits(pool_tokens: float, caching: bool) -> ReplicaLimits:
    return ReplicaLimits(
        Scheduler.CHUNKED_PREFILL,
        1024,
        8192,
        kv_pool_bytes=2.0 * pool_tokens,
        kv_block_bytes=32.0,
        prefix_caching=caching,
    )


SHAPES = [(1000, 300, 0.5), (300, 1000, 0.5), (2000, 200, 0.8), (500, 500, 0.3)]


@pytest.mark.parametrize(("prompt", "output", "cv"), SHAPES)
@pytest.mark.parametrize("sequences", [8, 25])
@pytest.mark.parametrize("load", [0.85, 0.93])
def test_without_prefix_caching_each_waiting_request_costs_an_answer(
    prompt, output, cv, sequences, load
):
    service, lengths = chat(prompt, output, cv)
    own = limits(sequences * (prompt + output / 2), False)
    rate = load * ceiling_qps(Affine(), own, lengths)
    requests = open_loop(lengths, service.arrivals, rate, 4000 / rate, 1)
    run = simulate([SimulatedGroup(Affine(), own, 1)], requests, Routing(), max_backlog=10**9)
    again = (run.prefilled_tokens - requests.prompt_tokens.sum()) / len(requests)
    waiting = float(RateStates(Affine(), own, lengths).at(np.array([rate])).waiting_share[0])
    estimate = recomputed_tokens(lengths, waiting, False)
    assert estimate == pytest.approx(again, rel=0.45, abs=0.05 * output)


@pytest.mark.parametrize(("prompt", "output", "cv"), SHAPES)
@pytest.mark.parametrize("caching", [False, True])
def test_a_pool_that_is_always_full(prompt, output, cv, caching):
    """Saturated: the estimate without a share, and what it makes of the rate that a replica keeps up with."""
    _, lengths = chat(prompt, output, cv)
    own = limits(25 * (prompt + output / 2), caching)
    count = 4000
    prompts, outputs = lengths.sample(count, np.random.default_rng(0))
    sent = Requests(np.zeros(count), prompts, outputs)
    run = simulate([SimulatedGroup(Affine(), own, 1)], sent, Routing(), concurrency=300)
    again = (run.prefilled_tokens - prompts.sum()) / count
    assert recomputed_tokens(lengths, 1.0, caching) == pytest.approx(again, rel=0.35)
    ends = np.sort(run.end_s)
    first, last = int(0.2 * count), int(0.8 * count)
    finished = (last - first) / (ends[last] - ends[first])
    states = RateStates(Affine(), own, lengths)
    kept_up = capacity_from(states, Slo(targets=())).qps
    plain = states.rates[-1]
    assert kept_up < plain
    assert abs(kept_up / finished - 1) < 0.06
    assert abs(kept_up / finished - 1) < abs(plain / finished - 1)


def test_targets_keep_their_capacity_and_other_bounds_cost_nothing():
    _, lengths = chat(1000, 300, 0.5)
    roomy = ReplicaLimits(
        Scheduler.CHUNKED_PREFILL, 16, 8192, kv_pool_bytes=1e9, kv_block_bytes=32.0
    )
    assert RateStates(Affine(), roomy, lengths).again_s == 0.0
    tight = limits(25 * 1150, True)
    assert RateStates(Affine(), tight, lengths).again_s > 0.0
    ahead = ReplicaLimits(Scheduler.NO_EVICT, 1024, 8192, 2.0 * 25 * 1150, 32.0)
    assert RateStates(Affine(), ahead, lengths).again_s == 0.0


def test_a_job_says_what_it_computes_again():
    job = {
        "model": "Qwen/Qwen3-32B",
        "prompt_tokens": 2000,
        "output_tokens": {"mean": 1500, "cv": 0.5, "max": 8000},
        "job": {"requests": "200k", "within": "6h"},
        "search": {"gpus": ["h100-sxm-80gb"], "tensor_parallel": [2], "weights": ["bf16"]},
        "prices": {"providers": ["aws"]},
    }
    plan = solve(Scenario.model_validate(job), verify="none", rivals=0)
    (group,) = plan.services[0].replica_groups
    assert group.limited_by == CapacityLimit.KV_POOL
    (note,) = group.notes
    assert note.startswith("100% of the requests wait for room in the KV pool: about 6")
    assert note.endswith("(in its capacity)")
