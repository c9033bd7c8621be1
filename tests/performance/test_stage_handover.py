"""What pipeline stages on different nodes hand over takes as long as its bytes on the network."""

from __future__ import annotations

import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.fleet.offers.networks import on_network
from planner.performance.factors import load_calibration
from planner.performance.replica_steps import replica_steps
from planner.performance.steps import StepBatch

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)


def deployment(tensor: int, pipeline: int, gb_s: float | None = None) -> Deployment:
    return Deployment(
        model=CATALOG.model("deepseek-ai/DeepSeek-V3"),
        gpu=on_network(CATALOG.gpu("h100-sxm-80gb"), gb_s),
        engine=CATALOG.engine("vllm"),
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        weights=CATALOG.weight_format("fp8_block"),
        kv_cache=CATALOG.kv_format("bf16"),
    )


def prompts(tokens: float) -> StepBatch:
    return StepBatch(
        decode_sequences=0.0,
        decode_context_tokens=0.0,
        prefill_tokens=tokens,
        prefill_sequences=1.0,
        prefill_context_tokens=tokens * tokens / 2,
        sampled_tokens=1.0,
    )


def seconds(d: Deployment, batch: StepBatch) -> float:
    return float(replica_steps(d, CALIBRATION).step_seconds(batch))


def test_a_prompt_of_8192_tokens_over_two_nodes() -> None:
    """8,192 tokens in two shares, 7,168 values of 2 B, an eighth a rank: 7.3 MB over 1 instead of 50 GB/s."""
    batch = prompts(8192.0)
    sent = 8192 / 2 * 7168 * 2 / 8
    extra = seconds(deployment(8, 2, 1.0), batch) - seconds(deployment(8, 2), batch)
    assert extra == pytest.approx(sent / 1e9 - sent / 50e9, rel=1e-6)


def test_named_parts_carry_it_with_the_collectives() -> None:
    batch = prompts(4096.0)
    slow = replica_steps(deployment(8, 2, 1.0), CALIBRATION).step_times(batch)
    fast = replica_steps(deployment(8, 2), CALIBRATION).step_times(batch)
    assert slow.collectives_s - fast.collectives_s == pytest.approx(
        slow.total_s - fast.total_s, rel=1e-6
    )
    assert slow.total_s == pytest.approx(seconds(deployment(8, 2, 1.0), batch), rel=1e-9)


def test_stages_within_a_node_are_as_fitted() -> None:
    batch = prompts(4096.0)
    assert seconds(deployment(4, 2, 1.0), batch) == seconds(deployment(4, 2), batch)
    assert seconds(deployment(8, 1, 1.0), batch) == seconds(deployment(8, 1), batch)
