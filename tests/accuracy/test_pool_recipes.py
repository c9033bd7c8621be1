"""Recipes of disaggregated benchmarks: who gets them, and what they change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.accuracy.conditions import Setup, setup_of
from planner.accuracy.measures import Measure
from planner.accuracy.outcome import Outcome, pieces
from planner.accuracy.playback import launched_limits, limits_of
from planner.accuracy.point import MeasuredPoint, PoolLayout
from planner.catalog.store import Catalog
from planner.performance.factors import load_calibration

TENSORRT = MeasuredPoint(
    model="deepseek-ai/DeepSeek-R1",
    gpu="gb200",
    engine="trtllm",
    weights="nvfp4",
    tensor_parallel=1,
    data_parallel=16,
    expert_parallel=16,
    prompt_tokens=8192,
    output_tokens=1024,
    concurrency=2150,
    measured_on="2025-12-09",
    others=((Measure("ttft", 50.0), 1.83),),
    prefill=PoolLayout(8, 1, 4, 4),
)
SGLANG = replace(
    TENSORRT,
    gpu="mi355x",
    engine="sglang",
    weights="mxfp4",
    tensor_parallel=8,
    data_parallel=1,
    expert_parallel=1,
    replicas=2,
    concurrency=64,
    prefill=PoolLayout(1, 8),
)


@pytest.fixture(scope="module")
def setup_in(catalog: Catalog) -> dict[str, Setup]:
    calibration = load_calibration(catalog)
    points = {
        "tensorrt": TENSORRT,
        "sglang": SGLANG,
        "other": replace(TENSORRT, prompt_tokens=4000),
    }
    return {name: setup_of(point, catalog, calibration) for name, point in points.items()}


def test_decode_workers_run_what_their_recipe_says(setup_in: dict[str, Setup]) -> None:
    """TensorRT-LLM counts per attention-DP rank: 16 ranks of 128, a little less than is in flight."""
    found = setup_in["tensorrt"]
    assert found.recipe is not None
    limits = limits_of(found.deployment, found, TENSORRT)
    assert (
        launched_limits(limits, found.deployment, found.recipe.decode_max_num_seqs).max_num_seqs
        == 2048
    )


def test_sglang_counts_for_the_whole_worker(setup_in: dict[str, Setup]) -> None:
    found = setup_in["sglang"]
    assert found.recipe is not None
    assert found.recipe.decode_max_num_seqs == 128
    assert found.recipe.prefill_max_num_batched_tokens == 16384


def test_other_lengths_know_no_recipe(setup_in: dict[str, Setup]) -> None:
    assert setup_in["other"].recipe is None


def test_a_server_sends_its_steps_in_one_piece(setup_in: dict[str, Setup]) -> None:
    assert setup_in["sglang"].streamed_steps == 1


def test_pieces_add_up_the_gaps_of_their_steps() -> None:
    gaps, weights = pieces(np.array([0.1, 0.5, 0.2]), np.array([2.0, 2.0, 4.0]), np.ones(3), 2)
    assert gaps == pytest.approx([0.6, 0.7])
    assert weights.tolist() == [2.0, 4.0]


def test_multiples_that_a_burst_jumps_over_are_not_sent() -> None:
    """Two tokens a step hit every other multiple of the interval: the p99 piece holds seven intervals."""
    none = np.zeros(1)
    simulated = Outcome(none, none, none, none, none, 1.0, 1, 1, 1, 1)
    counted = replace(simulated, streamed_steps=10, tokens_per_step=2.0, streams_by_tokens=True)
    assert counted.streamed_tokens(99.0) == 70
    assert replace(counted, streams_by_tokens=False).streamed_tokens(99.0) == 20
    assert counted.streamed_tokens(None) == 20
