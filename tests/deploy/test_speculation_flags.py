"""Each engine is started with the options that draft as the plan says."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from launch_plans import DEEPSEEK, fleet, group, service
from launch_reader import script, written

from planner.plan.speculation import SpeculationPlan

LLAMA_70B = "meta-llama/Llama-3.3-70B-Instruct"
EAGLE = "yuhuili/EAGLE3-LLaMA3.3-Instruct-70B"
SMALL = "meta-llama/Llama-3.2-1B"


def files(catalog, engine, method, checkpoint="", tokens=3):
    drafts = SpeculationPlan(
        method=method,
        label=f"{method}:{tokens}",
        draft_tokens=tokens,
        acceptance=0.6,
        tokens_per_step=2.176,
        checkpoint=checkpoint,
        weights="bf16" if checkpoint else "",
        evidence="assumed",
    )
    model, weights = (DEEPSEEK, "fp8_block") if method == "mtp" else (LLAMA_70B, "bf16")
    layout = group(
        engine=engine,
        engine_version=catalog.engine(engine).version,
        gpu="h200-sxm-141gb",
        weights=weights,
        tensor_parallel=8,
        settings={"draft_tokens": tokens, "draft_acceptance": 0.6},
    ).model_copy(update={"speculation": drafts})
    target = "trtllm" if engine == "tensorrt-llm" else engine
    return written(fleet(service("chat", (layout,), model)), catalog, target)


@pytest.mark.parametrize(
    ("method", "checkpoint", "expected"),
    [
        ("mtp", "", {"method": "mtp"}),
        ("eagle3", EAGLE, {"method": "eagle3", "model": EAGLE}),
        ("ngram", "", {"method": "ngram"}),
        ("draft", SMALL, {"method": "draft_model", "model": SMALL}),
    ],
)
def test_vllm(catalog, method, checkpoint, expected):
    text = script(files(catalog, "vllm", method, checkpoint))
    (value,) = re.findall(r"--speculative-config '(.*)'", text)
    assert json.loads(value) == {**expected, "num_speculative_tokens": 3}


@pytest.mark.parametrize(
    ("method", "checkpoint", "algorithm", "steps"),
    [
        ("mtp", "", "NEXTN", True),
        ("eagle3", EAGLE, "EAGLE3", True),
        ("ngram", "", "NGRAM", False),
        ("draft", SMALL, "STANDALONE", True),
    ],
)
def test_sglang_counts_the_token_that_the_model_adds(catalog, method, checkpoint, algorithm, steps):
    text = script(files(catalog, "sglang", method, checkpoint))
    assert f"--speculative-algorithm {algorithm}" in text
    assert "--speculative-num-draft-tokens 4" in text
    assert ("--speculative-num-steps 3" in text) == steps
    assert ("--speculative-draft-model-path" in text) == bool(checkpoint)
    assert "--max-running-requests 48" in text


@pytest.mark.parametrize(
    ("method", "checkpoint", "kind", "length"),
    [
        ("mtp", "", "MTP", "num_nextn_predict_layers"),
        ("eagle3", EAGLE, "Eagle", "max_draft_len"),
        ("ngram", "", "NGram", "max_draft_len"),
        ("draft", SMALL, "Draft_Target", "max_draft_len"),
    ],
)
def test_tensorrt_llm(catalog, method, checkpoint, kind, length):
    config = files(catalog, "tensorrt-llm", method, checkpoint)
    (text,) = (t for name, t in config.items() if name.endswith(".config.yaml"))
    expected = {"decoding_type": kind, length: 3}
    if checkpoint:
        expected["speculative_model_dir"] = checkpoint
    assert yaml.safe_load(text)["speculative_config"] == expected
