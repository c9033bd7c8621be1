"""Launch settings of benchmark recipes: who gets them, and that a run's own settings come first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.accuracy.conditions import Setup, setup_of
from planner.accuracy.launches import StepTokens
from planner.accuracy.measures import Measure
from planner.accuracy.playback import limits_of
from planner.accuracy.point import MeasuredPoint, RunSettings
from planner.accuracy.validation import Predictor
from planner.catalog.store import load_catalog
from planner.performance.factors import load_calibration
from planner.serving.simulation.inbox import ENDLESS, Intake

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)


LLAMA = MeasuredPoint(
    model="meta-llama/Llama-3.1-70B",
    gpu="b200-sxm-180gb",
    engine="trtllm",
    engine_version="1.0.0",
    weights="fp8",
    tensor_parallel=2,
    prompt_tokens=1024,
    output_tokens=1024,
    concurrency=16,
    ttft_ms=270.0,
    tpot_ms=9.8,
)
DEEPSEEK = replace(
    LLAMA,
    model="deepseek-ai/DeepSeek-R1",
    engine="sglang",
    engine_version="0.5.6",
    tensor_parallel=8,
)


def setup(measured: MeasuredPoint) -> Setup:
    return setup_of(measured, CATALOG, CALIBRATION)


@pytest.mark.parametrize(("concurrency", "polls"), [(4, 10), (15, 10), (16, 30), (128, 30)])
def test_sglang_on_blackwell_polls_as_its_recipe_says(concurrency: int, polls: int) -> None:
    assert setup(replace(DEEPSEEK, concurrency=concurrency)).intake == Intake(poll_steps=polls)


def test_lengths_of_no_suite_know_no_recipe() -> None:
    found = setup(replace(DEEPSEEK, prompt_tokens=1000))
    assert found.intake == Intake()
    assert found.step_tokens is None


def test_prompts_of_short_runs_wait_for_a_batch_on_tensorrt_llm() -> None:
    assert setup(LLAMA).intake == Intake(gather_steps=20, gather_tokens=round(0.9 * 2068))
    assert setup(replace(LLAMA, output_tokens=8192)).intake == Intake()
    assert setup(replace(LLAMA, tensor_parallel=8)).intake == Intake()


def test_ranks_wait_until_each_has_a_prompt() -> None:
    moe = replace(LLAMA, model=DEEPSEEK.model, gpu="h200-sxm-141gb", concurrency=64)
    ranks = replace(moe, tensor_parallel=1, data_parallel=8, expert_parallel=8)
    assert setup(ranks).intake == Intake(gather_steps=60, gather_prompts=8)
    assert setup(replace(moe, tensor_parallel=8)).intake.gather_prompts == ENDLESS


def test_step_tokens_come_from_lengths_and_concurrency() -> None:
    rule = StepTokens(prompts=1, in_flight=1, more=64, multiple_of=64)
    assert rule.of(replace(LLAMA, concurrency=64)) == 1152
    at_least = rule.model_copy(update={"least": 8192})
    assert at_least.of(replace(LLAMA, concurrency=64)) == 8192


def test_a_recipe_sets_the_tokens_of_a_step_and_a_run_of_its_own_overrides_it() -> None:
    recipe = setup(LLAMA)
    assert limits_of(recipe.deployment, recipe, LLAMA).max_num_batched_tokens == 2068
    own = replace(LLAMA, settings=RunSettings(max_num_batched_tokens=4096))
    stated = setup(own)
    assert stated.step_tokens is None
    assert limits_of(stated.deployment, stated, own).max_num_batched_tokens == 4096


def test_mean_ttft_has_the_first_burst_whatever_else_was_measured() -> None:
    """The same run with a percentile beside its means is predicted the same means."""
    measured = replace(DEEPSEEK, gpu="h200-sxm-141gb")
    predictor = Predictor(CATALOG, CALIBRATION)
    alone = predictor.predict(measured)
    tail = replace(measured, others=((Measure("ttft", 99.0), 1.0),))
    with_tail = predictor.predict(tail)
    assert setup(measured).first_burst_s > 0
    assert alone.ttft_ms == pytest.approx(with_tail.ttft_ms, rel=0.02)
