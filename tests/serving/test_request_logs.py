"""Two real vLLM 0.19 runs, 300 requests at 10/s each, replayed with their engine settings.

``tests/reference/request_logs.csv``: arrivals and lengths as logged, first and last token times [s]
since the run's start (LLMServingSim, casys-kaist, MIT). The RTX 4090 run is overloaded, its KV pool is
the printed 41,408 tokens and its prefix caching met unknown token ids; the RTX PRO 6000 run is DP2
with expert parallelism.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment, EngineSettings
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.serving.limits import ReplicaLimits, replica_limits
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import Requests
from planner.serving.simulation.simulation_result import SimulationResult
from planner.serving.simulation.simulator import simulate
from planner.sizing.memory import memory_layout

LOGS = Path(__file__).parents[1] / "reference" / "request_logs.csv"


@dataclass(frozen=True)
class Run:
    name: str
    model: str
    gpu: str
    data_parallel: int
    max_num_seqs: int
    kv_pool_tokens: int | None


RUNS = (
    Run("rtx-4090 llama-3.1-8b", "meta-llama/Llama-3.1-8B", "rtx-4090", 1, 256, 41_408),
    Run(
        "rtx-pro-6000 qwen3-30b-a3b",
        "Qwen/Qwen3-30B-A3B-Instruct-2507",
        "rtx-pro-6000",
        2,
        128,
        None,
    ),
)


class Scaled:
    """A step model whose every step takes ``factor`` as long."""

    def __init__(self, steps, factor: float) -> None:
        self._steps = steps
        self._factor = factor
        self.admission_s = steps.admission_s

    def step_seconds(self, batch):
        return self._factor * self._steps.step_seconds(batch)


class Replay:
    def __init__(self, run: Run) -> None:
        rows = [r for r in csv.DictReader(LOGS.read_text().splitlines()) if r["run"] == run.name]
        column = {k: np.array([float(r[k]) for r in rows]) for k in rows[0] if k != "run"}
        self.requests = Requests(
            column["arrival_s"],
            column["prompt_tokens"].astype(np.int64),
            column["output_tokens"].astype(np.int64),
        )
        self.ttft = column["first_token_s"] - column["arrival_s"]
        self.e2e = column["end_s"] - column["arrival_s"]
        self.end = float(column["end_s"].max())
        self.tpot = (column["end_s"] - column["first_token_s"]) / (column["output_tokens"] - 1)
        self.limits, self.steps = _replica(run)

    def run(self, factor: float = 1.0) -> SimulationResult:
        group = SimulatedGroup(Scaled(self.steps, factor), self.limits, 1)
        return simulate([group], self.requests)

    def factor(self) -> float:
        """What makes the median TPOT the logged one."""
        factor = 1.0
        for _ in range(3):
            factor *= float(np.median(self.tpot) / np.median(self.run(factor).latency_s("tpot")))
        return factor


def _replica(run: Run) -> tuple[ReplicaLimits, object]:
    catalog = load_catalog()
    deployment = Deployment(
        catalog.model(run.model),
        catalog.gpu(run.gpu),
        catalog.engine("vllm"),
        1,
        catalog.weight_format("bf16"),
        catalog.kv_format("bf16"),
        data_parallel=run.data_parallel,
        expert_parallel=run.data_parallel,
        settings=EngineSettings(
            max_num_seqs=run.max_num_seqs,
            max_num_batched_tokens=2048,
            max_model_len_tokens=32_768,
        ),
    )
    limits = replica_limits(deployment, memory_layout(deployment))
    if run.kv_pool_tokens is not None:
        blocks = run.kv_pool_tokens / limits.kv_block_tokens
        limits = replace(limits, kv_pool_bytes=blocks * limits.kv_block_bytes)
    return limits, step_model(deployment, load_calibration(catalog))


@pytest.fixture(scope="module", params=RUNS, ids=lambda r: r.name.split()[0])
def replay(request) -> Replay:
    return Replay(request.param)


def off(simulated: np.ndarray, logged: np.ndarray, percentile: float) -> float:
    return float(np.percentile(simulated, percentile) / np.percentile(logged, percentile)) - 1


def test_queueing_and_batching_are_those_of_the_engine(replay):
    """With the speed of a step taken from the log, everything that follows from it agrees."""
    result = replay.run(replay.factor())
    assert abs(off(result.latency_s("e2e"), replay.e2e, 50)) < 0.10
    assert abs(off(result.latency_s("e2e"), replay.e2e, 90)) < 0.10
    # one factor cannot speed up decode and leave prefill as it is: the median TTFT pays for it
    assert abs(off(result.latency_s("ttft"), replay.ttft, 50)) < 0.35
    assert abs(off(result.latency_s("ttft"), replay.ttft, 90)) < 0.20
    assert abs(np.nanmax(result.end_s) / replay.end - 1) < 0.10


def test_unscaled_steps_come_near_without_having_seen_these_gpus(replay):
    """The RTX PRO 6000 is priced by kernels newer than its engine: 15 % fast, and TTFT more so."""
    result = replay.run()
    assert abs(off(result.latency_s("e2e"), replay.e2e, 50)) < 0.22
    assert abs(off(result.latency_s("e2e"), replay.e2e, 90)) < 0.20
    assert abs(off(result.latency_s("ttft"), replay.ttft, 50)) < 0.45
    assert abs(np.nanmax(result.end_s) / replay.end - 1) < 0.16


def test_every_request_ends(replay):
    assert not np.isnan(replay.run().end_s).any()
