"""The pace of prefill pools: which layouts have one, how it is known; plans and playback share it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.accuracy.conditions import setup_of
from planner.accuracy.points import read_points
from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.evidence import Evidence
from planner.performance.factors import Calibration, load_calibration
from planner.performance.paced import PacedSteps
from planner.performance.prefill_pace import pace_of, pool_steps, prefill_pace
from planner.performance.steps import StepBatch
from planner.sizing.precision import weights_for


@pytest.fixture(scope="module")
def calibration(catalog: Catalog) -> Calibration:
    return load_calibration(catalog)


def pool(
    catalog: Catalog,
    *,
    model: str = "deepseek-ai/DeepSeek-R1",
    gpu: str = "h200-sxm-141gb",
    engine: str = "sglang",
    weights: str = "fp8_block",
    ranks: int = 8,
) -> Deployment:
    spec = catalog.model(model)
    return Deployment(
        model=spec,
        gpu=catalog.gpu(gpu),
        engine=catalog.engine(engine),
        tensor_parallel=8 // ranks,
        data_parallel=ranks,
        expert_parallel=8,
        weights=weights_for(spec, weights, catalog.weight_format),
        kv_cache=catalog.kv_format("fp8"),
    )


def test_a_measured_layout_has_the_pace_of_its_row(
    catalog: Catalog, calibration: Calibration
) -> None:
    found = prefill_pace(catalog.root, d := pool(catalog), calibration.traits(d), 1024)
    assert found is not None
    assert (found.times, found.evidence) == (1.61, Evidence.CALIBRATED)


def test_paces_between_two_prompt_lengths_lie_between_theirs(
    catalog: Catalog, calibration: Calibration
) -> None:
    d = pool(catalog, gpu="b200-sxm-180gb", engine="tensorrt-llm")
    traits = calibration.traits(d)
    paces = [
        found.times
        for n in (128, 1024, 2048, 4096, 8192, 99_999)
        if (found := prefill_pace(catalog.root, d, traits, n)) is not None
    ]
    assert paces[0] == paces[1] == 1.43
    assert paces[-1] == paces[-2] == 1.39
    assert paces == sorted(paces, reverse=True)


def test_what_nobody_measured_is_modelled_and_dense_models_have_none(
    catalog: Catalog, calibration: Calibration
) -> None:
    for d, known in (
        (pool(catalog, engine="vllm"), Evidence.MODELLED),
        (pool(catalog, model="Qwen/Qwen3-235B-A22B-FP8"), Evidence.MODELLED),
        (pool(catalog, model="meta-llama/Llama-3.3-70B-Instruct", weights="fp8"), None),
    ):
        found = prefill_pace(catalog.root, d, calibration.traits(d), 2000)
        assert (found and found.evidence) == known


def test_a_plans_pool_takes_as_long_as_the_playback_of_the_same_layout(
    catalog: Catalog, calibration: Calibration
) -> None:
    table = read_points(catalog.root / "calibration" / "percentile_points.csv")
    runs = [p for p in table.points if p.prefill is not None][::40]
    assert len(runs) > 5
    for point in runs:
        setup = setup_of(point, catalog, calibration)
        assert setup.prefill is not None
        steps = pool_steps(setup.prefill, calibration, catalog, point.prompt_tokens)
        few = pace_of(steps) == 1.0 and setup.prefill_pace < 1
        assert few or pace_of(steps) == pytest.approx(setup.prefill_pace)


def test_every_step_of_a_pool_is_slower_and_its_grade_no_better(
    catalog: Catalog, calibration: Calibration
) -> None:
    d = pool(catalog)
    paced, own = (
        pool_steps(d, calibration, catalog, 4000),
        pool_steps(replace(d, data_parallel=1, tensor_parallel=8), calibration, catalog, 8192),
    )
    assert isinstance(paced, PacedSteps)
    batch = StepBatch(0, 0, 4096, 2, 4096 * 1024, 2)
    assert paced.step_seconds(batch) == pytest.approx(1.61 * paced.steps.step_seconds(batch))
    assert paced.step_times(batch).total_s == pytest.approx(paced.step_seconds(batch))
    assert paced.evidence.rank >= paced.steps.evidence.rank
    assert pace_of(own) == 1.02
