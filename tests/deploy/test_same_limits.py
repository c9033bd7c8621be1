"""Plan, simulator, validation and launch file work with the same engine limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from planner import solve
from planner.accuracy.conditions import setup_of
from planner.accuracy.point import MeasuredPoint
from planner.catalog.store import load_catalog
from planner.deploy.choices import Choices
from planner.deploy.resolve import resolve
from planner.deploy.targets import launch_files
from planner.fleet.candidates.deployments import deployments
from planner.performance.factors import load_calibration
from planner.plan.rebuild import deployment_of
from planner.scenario.reader import read_scenario
from planner.serving.limits import replica_limits
from planner.sizing.batch_limits import batch_limits, prefix_caching
from planner.sizing.memory import memory_layout

CATALOG = load_catalog()
SCENARIO = """
model: deepseek-ai/DeepSeek-V3
rate: 4
prompt_tokens: 1000
output_tokens: 200
slo: {{ttft_p99: 20s, tpot_p99: 500ms}}
search:
  gpus: [{gpu}]
  engines: [{engine}]
  tensor_parallel: [{tp}]
  data_parallel: [{dp}]
  expert_parallel: [{dp}]
  weights: [native]
  kv_cache: [bf16]
"""


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
@pytest.mark.parametrize(("gpu", "tp", "dp"), [("h200", 8, 1), ("h200", 1, 8), ("b200", 8, 1)])
def test_every_part_takes_the_limits_resolved_once(
    tmp_path: Path, engine: str, gpu: str, tp: int, dp: int
) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO.format(engine=engine, gpu=gpu, tp=tp, dp=dp))
    (service,) = read_scenario(path).services
    (searched,) = deployments(service, CATALOG, (CATALOG.gpu(gpu).name,))
    resolved = batch_limits(searched)
    simulated = replica_limits(searched, memory_layout(searched))
    assert simulated.max_num_seqs == resolved.rank_sequences * dp
    assert simulated.max_num_batched_tokens == resolved.rank_tokens * dp
    plan = solve(path, verify="none")
    (group,) = plan.services[0].replica_groups
    assert batch_limits(deployment_of(service, group, CATALOG)) == resolved
    (launch,) = resolve(plan, CATALOG, Choices()).launches
    assert launch.max_num_seqs == resolved.max_num_seqs
    assert launch.max_num_batched_tokens == resolved.max_num_batched_tokens
    assert launch.prefix_caching == prefix_caching(searched)
    measured = setup_of(_point(engine, gpu, tp, dp), CATALOG, load_calibration(CATALOG)).deployment
    same_version = replace(searched, engine=measured.engine)
    assert batch_limits(measured) == batch_limits(same_version)


def _point(engine: str, gpu: str, tp: int, dp: int) -> MeasuredPoint:
    return MeasuredPoint(
        model="deepseek-ai/DeepSeek-V3",
        gpu=gpu,
        engine=engine,
        weights="fp8_block",
        tensor_parallel=tp,
        data_parallel=dp,
        expert_parallel=dp,
        prompt_tokens=1000,
        output_tokens=200,
        concurrency=16,
        ttft_ms=100.0,
        tpot_ms=20.0,
    )


HYBRID = """
model: Qwen/Qwen3.5-27B-FP8
rate: 2
prompt_tokens: {mean: 2000, cv: 0.5}
output_tokens: {mean: 300, cv: 0.5}
slo: {ttft_p99: 10s, tpot_p99: 200ms}
search: {gpus: [h100], tensor_parallel: [1], weights: [native], kv_cache: [bf16]}
"""


def test_the_launch_file_of_a_hybrid_asks_for_no_more_sequences_than_state_blocks(
    tmp_path: Path,
) -> None:
    path = tmp_path / "hybrid.yaml"
    path.write_text(HYBRID)
    plan = solve(path, verify="none")
    files = launch_files(plan, CATALOG, "vllm", Choices()).files
    script = next(text for name, text in files.items() if name.endswith(".sh"))
    sequences = int(script.split("--max-num-seqs ")[1].split()[0])
    (group,) = plan.services[0].replica_groups
    deployment = deployment_of(read_scenario(path).services[0], group, CATALOG)
    memory = memory_layout(deployment)
    assert sequences == replica_limits(deployment, memory).max_num_seqs < 800
