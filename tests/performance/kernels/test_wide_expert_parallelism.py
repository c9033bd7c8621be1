"""DeepSeek-V3 over many nodes, against rates that were published for it."""

from __future__ import annotations

import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.performance.steps import StepBatch
from planner.sizing.precision import weights_for

CATALOG = load_catalog()
NODE = 8


def step_s(ranks: int, batch: StepBatch) -> float:
    model, gpu = CATALOG.model("deepseek-ai/DeepSeek-V3"), CATALOG.gpu("h100-sxm-80gb")
    deployment = Deployment(
        model=model,
        gpu=gpu,
        engine=CATALOG.engine("sglang"),
        tensor_parallel=1,
        weights=weights_for(model, "native", CATALOG.weight_format),
        kv_cache=CATALOG.kv_format("bf16"),
        data_parallel=ranks,
        expert_parallel=ranks,
    )
    return float(step_model(deployment, load_calibration(CATALOG)).step_seconds(batch))


def test_decoding_on_nine_nodes_comes_near_what_was_published() -> None:
    """22,300 output tokens/s a node on H100, 256 sequences a GPU of 2,000 prompt tokens (LMSYS, May 2025)."""
    sequences = 256.0 * 72
    seconds = step_s(72, StepBatch(sequences, sequences * 2500, sampled_tokens=sequences))
    assert 256 * NODE / seconds == pytest.approx(22_300, rel=0.25)


def test_prompts_on_four_nodes_come_near_what_was_published() -> None:
    """52,300 input tokens/s a node on H100, prompts of 2,000 tokens (LMSYS, May 2025)."""
    prompts = 32.0 * 4
    tokens = prompts * 2048
    seconds = step_s(32, StepBatch(0.0, 0.0, tokens, prompts, tokens * 1024, prompts))
    assert tokens / 4 / seconds == pytest.approx(52_300, rel=0.15)
