"""Load tests of services whose prompts are pooled: the endpoint of the task, whole calls, E2E alone."""

from __future__ import annotations

import json

import pytest

from planner.api import solve
from planner.cli.main import main
from planner.scenario.schema import Scenario

BASE = {
    "name": "pooled",
    "model": "Qwen/Qwen3-8B",
    "task": "embed",
    "rate": 40,
    "prompt_tokens": 300,
    "slo": {"e2e_p99": "1s"},
    "search": {"gpus": ["h100-sxm-80gb"], "tensor_parallel": [1], "weights": ["bf16"]},
}
RERANK = {
    **BASE,
    "model": "Qwen/Qwen3-Reranker-8B",
    "task": "rerank",
    "rate": "10 calls/s",
    "prompts_per_call": 20,
}


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (BASE, "--backend openai-embeddings --endpoint /v1/embeddings"),
        ({**RERANK}, "--backend vllm-rerank --endpoint /v1/rerank"),
        ({**RERANK, "task": "classify"}, "--backend vllm-pooling --endpoint /pooling"),
    ],
)
def test_the_client_is_the_task_s(scenario, words):
    plan = solve(Scenario.model_validate(scenario), verify="none")
    (test,) = plan.acceptance
    for rung in test.rungs:
        assert words in rung.command
        assert "--percentile-metrics e2el" in rung.command
        assert "ignore-eos" not in rung.command
        assert set(rung.limits_s) == {"e2e_p99"}


def test_calls_are_counted_and_judged_as_calls(tmp_path, capsys):
    plan = solve(Scenario.model_validate(RERANK), verify="none")
    (test,) = plan.acceptance
    replicas = plan.services[0].replica_groups[0].replicas
    full = test.rungs[-1]
    assert full.rate_qps == pytest.approx(10 / replicas)
    assert test.prompt_tokens == 20 * 300
    assert "--dataset-name random-rerank" in full.command
    assert "--random-batch-size 20" in full.command
    assert f"--num-prompts {20 * full.requests}" in full.command
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    result = {
        "backend": "vllm-rerank",
        "model_id": "Qwen/Qwen3-Reranker-8B",
        "request_rate": full.rate_qps,
        "max_concurrency": 32,
        "duration": 300.0,
        "completed": 600,
        "total_input_tokens": 600 * 6000,
        "mean_e2el_ms": 150.0,
        "p99_e2el_ms": 310.0,
    }
    (tmp_path / "run.json").write_text(json.dumps(result))
    paths = str(tmp_path / "run.json"), str(tmp_path / "plan.json")
    assert main(["accept", paths[0], "--plan", paths[1]]) == 0
    shown = capsys.readouterr()
    assert "Passed." in shown.out
    assert "no factor is fitted to prompts that are pooled" in shown.err
