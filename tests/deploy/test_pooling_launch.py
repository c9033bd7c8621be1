"""How each engine version starts a pooling model."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from encoders import BERT_LARGE

from planner.catalog.pooling import pooling_model
from planner.cli.main import main
from planner.deploy.engines.checkpoint import LoadedWeights
from planner.deploy.engines.command_line import command
from planner.deploy.launch import Role
from planner.deploy.sized import sized_launch
from planner.deployment import Deployment

SCENARIO = {
    "rate": 20,
    "prompt_tokens": {"mean": 200, "cv": 0.5, "max": 500},
    "slo": {"e2e_p99": "500ms"},
    "search": {"gpus": ["l40s"], "tensor_parallel": [1], "weights": ["bf16"], "kv_cache": ["bf16"]},
}


def script(folder, engine, target, **changes):
    question = {**SCENARIO, **changes}
    question["search"] = {**SCENARIO["search"], "engines": [engine]}
    (folder / "s.yaml").write_text(json.dumps(question))
    solve = ["solve", str(folder / "s.yaml"), "--verify", "none", "--format", "json"]
    assert main([*solve, "-o", str(folder / "plan.json")]) == 0
    assert main(["verify", str(folder / "plan.json"), "--failed-only"]) == 0
    written = ["deploy", str(folder / "plan.json"), "--target", target, "-o", str(folder / "out")]
    assert main(written) == 0
    return next((folder / "out").glob("*.sh")).read_text()


@pytest.mark.parametrize(
    ("engine", "task", "model", "expected", "absent"),
    [
        ("vllm", "embed", "Qwen/Qwen3-0.6B", ("--runner pooling", "--convert embed"), "--task"),
        ("vllm", "rerank", "Qwen/Qwen3-0.6B", ("--runner pooling", "--convert classify"), "--task"),
        ("sglang", "classify", "Qwen/Qwen3-0.6B", ("--is-embedding",), "--attention-backend"),
    ],
)
def test_decoders_are_started_as_pooling_models(tmp_path, engine, task, model, expected, absent):
    text = script(tmp_path, engine, engine, task=task, model=model)
    assert all(words in text for words in expected)
    assert absent not in text


@pytest.mark.parametrize(("task", "said"), [("embed", "embed"), ("rerank", "classify")])
def test_versions_before_there_were_runners_are_given_the_task(catalog, task, said):
    one = Deployment(
        model=pooling_model(catalog.model("Qwen/Qwen3-0.6B"), "none"),
        gpu=catalog.gpu("l40s"),
        engine=catalog.engine("vllm", "0.9.2"),
        tensor_parallel=1,
        weights=catalog.weight_format("bf16"),
        kv_cache=catalog.kv_format("bf16"),
    )
    launch = replace(sized_launch(catalog, one, LoadedWeights("Qwen/Qwen3-0.6B"), 2000), task=task)
    words = command(launch, Role.SINGLE).words
    assert words[words.index("--task") + 1] == said
    assert "--runner" not in words


def test_a_generating_launch_has_no_pooling_option(tmp_path):
    text = script(
        tmp_path, "vllm", "vllm", model="Qwen/Qwen3-0.6B", output_tokens=10, slo={"ttft_p99": "1s"}
    )
    assert "--runner" not in text
    assert "--convert" not in text


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("vllm", ("--no-enable-prefix-caching", "--max-model-len 512")),
        ("sglang", ("--is-embedding", "--attention-backend triton", "--disable-radix-cache")),
    ],
)
def test_an_encoder_is_started_for_its_longest_text_without_a_prefix_cache(
    tmp_path, engine, expected
):
    (tmp_path / "bert.json").write_text(json.dumps({**BERT_LARGE, "_name_or_path": "org/bert"}))
    text = script(tmp_path, engine, engine, task="embed", model="bert.json")
    assert all(words in text for words in expected), text
