"""A call of several prompts ends with its last: what an idle replica needs for it, and what rules it out."""

from __future__ import annotations

from typing import Any

import pytest

from planner.api import solve
from planner.catalog.engine import Scheduler
from planner.performance.steps import StepBatch
from planner.scenario.schema import Scenario
from planner.scenario.slo import Slo
from planner.serving.closed_form.whole_calls import calls_too_slow, idle_call_s
from planner.serving.limits import ReplicaLimits
from planner.workload.lengths import lengths_of

CALLS: dict[str, Any] = {
    "model": "Qwen/Qwen3-4B",
    "task": "rerank",
    "rate": "20 calls/s",
    "prompts_per_call": 25,
    "prompt_tokens": 300,
    "slo": {"e2e_p95": "300ms"},
    "search": {"gpus": ["l40s"], "weights": ["native"], "kv_cache": ["bf16"]},
}


class ByToken:
    """10 ms a step and 0.1 ms a prompt token."""

    admission_s = 0.0

    def step_seconds(self, batch: StepBatch) -> float:
        return 0.010 + 1e-4 * float(batch.prefill_tokens)


def limits(tokens: int, sequences: int = 256) -> ReplicaLimits:
    return ReplicaLimits(
        Scheduler.CHUNKED_PREFILL, sequences, tokens, kv_pool_bytes=1e9, kv_block_bytes=16.0
    )


def test_a_call_takes_as_many_steps_as_its_tokens_fill():
    assert idle_call_s(ByToken(), limits(8192), 25, 300) == pytest.approx(0.010 + 0.75)
    assert idle_call_s(ByToken(), limits(2048), 25, 300) == pytest.approx(4 * 0.010 + 0.75)
    assert idle_call_s(ByToken(), limits(8192, 10), 25, 300) == pytest.approx(3 * 0.010 + 0.75)


def test_targets_under_the_time_of_a_call_are_named():
    lengths = lengths_of(Scenario.model_validate(CALLS).services[0])
    slo = Slo.model_validate({"e2e_p95": "500ms", "e2e_p99": "900ms"})
    ((said, miss),) = calls_too_slow(ByToken(), limits(8192), lengths, 25, slo)
    assert said.startswith("e2e_p95 of 500 ms is under the 760 ms")
    assert said.endswith("for a call of 25 prompts")
    assert miss == pytest.approx(1.52)
    assert not list(calls_too_slow(ByToken(), limits(8192), lengths, 1, slo))


def test_no_fleet_is_sold_for_calls_that_no_replica_finishes_in_time():
    """Two thousand replicas of a call a minute each are as late as one."""
    plan = solve(Scenario.model_validate(CALLS))
    assert plan.status == "infeasible"
    (miss,) = [r for r in plan.rejections if "latency" in r.reason]
    assert "for a call of 25 prompts" in miss.nearest_miss
