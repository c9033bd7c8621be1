from __future__ import annotations

import numpy as np
import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.performance.slowed import SlowedSteps
from planner.performance.steps import Number, StepBatch, StepModel
from planner.serving.simulation.sequence import ScheduledStep, Sequence
from planner.serving.simulation.step_table import StepTable
from planner.sizing.precision import weights_for

LAYOUTS = (
    ("meta-llama/Meta-Llama-3-8B-Instruct", "l4", 1, "bf16", "vllm"),
    ("meta-llama/Meta-Llama-3-70B-Instruct", "h100-sxm-80gb", 4, "fp8", "vllm"),
    ("Qwen/Qwen3-30B-A3B", "h100-sxm-80gb", 2, "bf16", "sglang"),
    ("openai/gpt-oss-120b", "b200-sxm-180gb", 1, "mxfp4", "trtllm"),
)
LONGEST = 20_000


def steps_of(layout):
    name, gpu, tp, weights, engine = layout
    catalog = load_catalog()
    model = catalog.model(name)
    deployment = Deployment(
        model,
        catalog.gpu(gpu),
        catalog.engine(engine),
        tp,
        weights_for(model, weights, catalog.weight_format),
        catalog.kv_format("bf16"),
    )
    return step_model(deployment, load_calibration(catalog))


def random_step(rng: np.random.Generator, prefill: bool) -> ScheduledStep:
    batch = int(np.exp(rng.uniform(0, np.log(256))))
    step = ScheduledStep(batch, int(batch * np.exp(rng.uniform(np.log(50), np.log(LONGEST)))), 1)
    if prefill:
        for _ in range(int(rng.integers(1, 4))):
            prompt = int(np.exp(rng.uniform(np.log(30), np.log(2600))))
            step.add_chunk(Sequence(0, prompt, 10), prompt)
    return step


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda p: p[0].split("/")[1])
@pytest.mark.parametrize("prefill", [False, True])
def test_look_ups_agree_with_the_model(layout, prefill):
    steps = steps_of(layout)
    table = StepTable(steps, LONGEST, 256, 8192)
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(400):
        step = random_step(rng, prefill)
        exact = float(
            steps.step_seconds(
                StepBatch(
                    float(step.decode),
                    float(step.context),
                    float(step.prefill),
                    float(step.prefill_sequences),
                    step.pairs,
                    float(step.sampled),
                )
            )
        )
        errors.append(table.step_s(step) / exact - 1)
    assert abs(np.mean(errors)) < 0.004
    assert np.max(np.abs(errors)) < 0.04


class CountedSteps:
    """A step model that counts the batches it is asked for."""

    def __init__(self, steps: StepModel) -> None:
        self.steps, self.asked = steps, 0

    def step_seconds(self, batch: StepBatch) -> Number:
        self.asked += 1
        return self.steps.step_seconds(batch)


@pytest.mark.parametrize("prefill", [False, True])
def test_tables_of_one_model_price_their_rows_once(prefill: bool) -> None:
    steps = steps_of(LAYOUTS[0])
    counted = CountedSteps(steps)
    step = random_step(np.random.default_rng(1), prefill)
    first = StepTable(counted, LONGEST, 256, 8192).step_s(step)
    asked = counted.asked
    assert asked >= 1
    assert StepTable(counted, LONGEST, 256, 8192).step_s(step) == first
    slowed = StepTable(SlowedSteps(counted, 1.3), LONGEST, 256, 8192)
    assert counted.asked == asked
    alone = SlowedBeside(steps, 1.3)
    assert slowed.step_s(step) == StepTable(alone, LONGEST, 256, 8192).step_s(step)
    assert counted.asked == asked


class SlowedBeside:
    """Slowed steps that no table knows for such."""

    def __init__(self, steps: StepModel, factor: float) -> None:
        self.steps, self.factor = steps, factor

    def step_seconds(self, batch: StepBatch) -> Number:
        return self.factor * self.steps.step_seconds(batch)


def test_beyond_the_lattice_the_model_itself_is_requested():
    steps = steps_of(LAYOUTS[0])
    table = StepTable(steps, LONGEST, 64, 1024)
    step = ScheduledStep(100, 50_000, 1)
    step.add_chunk(Sequence(0, 5000, 10), 5000)
    exact = steps.step_seconds(StepBatch(100.0, 50_000.0, 5000.0, 1.0, step.pairs, 101.0))
    assert table.step_s(step) == pytest.approx(float(exact))


def test_with_one_prompt_on_two_ranks_the_step_waits_for_its_rank():
    steps = steps_of(LAYOUTS[0])
    one, two = (StepTable(steps, LONGEST, 64, 4096, ranks=r) for r in (1, 2))
    step = ScheduledStep(8, 8000, 1)
    step.add_chunk(Sequence(0, 1000, 10), 1000)
    assert two.step_s(step) > 1.3 * one.step_s(step)
    step.add_chunk(Sequence(1, 1000, 10), 1000)
    assert two.step_s(step) == pytest.approx(one.step_s(step), rel=0.01)  # tabulated apart


@pytest.mark.parametrize("prompts", [1, 3, 8, 20, 64])
def test_many_prompts_over_attention_ranks_cost_what_the_model_says(prompts: int) -> None:
    """Prompts fill the ranks first, then each rank's step: the cost is not linear in their number."""
    catalog = load_catalog()
    gpu = catalog.gpu("b200-sxm-180gb")
    model = catalog.model("deepseek-ai/DeepSeek-R1")
    deployment = Deployment(
        model,
        gpu,
        catalog.engine("trtllm"),
        1,
        weights_for(model, "fp8", catalog.weight_format),
        catalog.kv_format("fp8"),
        data_parallel=8,
        expert_parallel=8,
    )
    steps = step_model(deployment, load_calibration(catalog))
    table = StepTable(steps, LONGEST, 64, 65_536, ranks=8)
    step = ScheduledStep(0, 0, 1)
    for _ in range(prompts):
        step.add_chunk(Sequence(0, 1000, 10), 1000)
    busiest = step.imbalance(8)
    exact = float(
        steps.step_seconds(
            StepBatch(
                0.0,
                0.0,
                step.prefill * busiest,
                float(prompts),
                step.pairs * busiest,
                float(step.sampled),
            )
        )
    )
    assert table.step_s(step) == pytest.approx(exact, rel=0.12)
