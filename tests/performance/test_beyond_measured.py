"""More requests in flight than a model was measured with: its factors up to there, kernels beyond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.performance import roofline
from planner.performance.factors import load_calibration
from planner.performance.host_time import NONE
from planner.performance.model import CalibratedStepModel, step_model
from planner.performance.steps import StepBatch
from planner.sizing.precision import weights_for

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)


def modelled(
    gpu: str = "h200-sxm-141gb", engine: str = "tensorrt-llm", tp: int = 1
) -> CalibratedStepModel:
    spec = CATALOG.model("openai/gpt-oss-120b")
    return step_model(
        Deployment(
            model=spec,
            gpu=CATALOG.gpu(gpu),
            engine=CATALOG.engine(engine),
            tensor_parallel=tp,
            weights=weights_for(spec, "native", CATALOG.weight_format),
            kv_cache=CATALOG.kv_format("fp8"),
        ),
        CALIBRATION,
    )


def decoding(sequences: float, prompt: float = 0.0) -> StepBatch:
    pairs = prompt * (prompt + 1.0) / 2.0
    return StepBatch(sequences, sequences * 1500.0, prompt, float(prompt > 0), pairs, sequences)


def test_what_was_measured_is_priced_by_its_factors() -> None:
    steps = modelled()
    assert steps.distance == "fitted"
    assert steps.growth is not None
    assert steps.growth.in_flight == 64
    for batch in (decoding(1.0), decoding(64.0), decoding(64.0, 2000.0)):
        fitted = roofline.step_times(steps.loads, steps.factors, batch).total_s
        assert steps.step_seconds(batch) == pytest.approx(float(fitted), rel=1e-12)


@pytest.mark.parametrize("prompt", [0.0, 1500.0])
def test_beyond_it_steps_grow_as_the_kernels_do(prompt: float) -> None:
    steps = replace(modelled(), graphs=None, host=NONE)  # what is beside a step is not in question
    assert steps.growth is not None
    kernels = steps.growth.kernels
    many, most = decoding(1024.0, prompt), decoding(64.0, prompt)
    grown = float(kernels.step_seconds(many)) / float(kernels.step_seconds(most))
    assert float(steps.step_seconds(many)) == pytest.approx(
        float(steps.step_seconds(most)) * grown, rel=1e-9
    )


def test_factors_alone_promised_more_than_was_published() -> None:
    steps = modelled()
    alone = replace(steps, growth=None)
    assert float(steps.step_seconds(decoding(1024.0))) > float(alone.step_seconds(decoding(1024.0)))


def test_there_is_no_jump_and_many_steps_cost_what_single_ones_do() -> None:
    steps = modelled()
    sequences = np.array([32.0, 63.99, 64.0, 64.01, 128.0, 512.0])
    many = steps.step_seconds(decoding(sequences))
    apart = [float(steps.step_seconds(decoding(s))) for s in sequences]
    assert apart == pytest.approx(many)
    assert apart == sorted(apart)
    assert apart[3] == pytest.approx(apart[1], rel=1e-3)
    times = steps.step_times(decoding(512.0))
    assert float(times.total_s) == pytest.approx(apart[-1])
    assert float(times.weights_s) > 0.0


def test_a_vendor_without_tables_grows_as_the_kernels_carried_over_do() -> None:
    steps = modelled("mi300x", "vllm")
    assert steps.distance.startswith("fitted")
    assert steps.kernels is None
    assert steps.growth is not None
    assert not steps.growth.kernels.measured
