"""The fit on points whose truth is known: numbers made by the model itself, never measurements."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from planner.accuracy.conditions import deployment_of
from planner.accuracy.cross_validation import cross_validate, model_and_gpu
from planner.accuracy.fitting import Fit, FitSettings, balance, shipped_hierarchy
from planner.accuracy.playback import measured_times
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.points import read_points
from planner.accuracy.samples import Sample, Stack, samples_of
from planner.accuracy.shipped import undoubted
from planner.catalog.store import Catalog, load_catalog
from planner.performance.calibration_files import (
    PriorsFile,
    dump_fitted,
    dump_shipped,
    read_fitted,
    read_priors,
)
from planner.performance.factors import Calibration, Scale, assemble
from planner.performance.model import step_model

TRUTH = 1.3


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="module")
def priors(catalog: Catalog) -> PriorsFile:
    return read_priors(catalog.root / "calibration" / "priors.yaml")


@pytest.fixture(scope="module")
def calibration(priors: PriorsFile) -> Calibration:
    return assemble(priors, [])


def slower(sample: Sample, times: float) -> Sample:
    point = replace(
        sample.point, ttft_ms=sample.point.ttft_ms * times, tpot_ms=sample.point.tpot_ms * times
    )
    return replace(sample, point=point)


@pytest.fixture(scope="module")
def samples(catalog: Catalog, calibration: Calibration) -> list[Sample]:
    """Two models on two GPUs, all 1.3 times as slow as the priors say."""
    points = [
        MeasuredPoint(model, gpu, "vllm", "bf16", tp, 1024, 256, n, 1.0, 1.0)
        for model in ("Qwen/Qwen3-8B", "Qwen/Qwen3-32B")
        for gpu in ("h100-sxm-80gb", "h200-sxm-141gb")
        for tp in (1, 4)
        for n in (1, 16, 64)
    ]
    found, failures = samples_of(points, catalog, calibration)
    assert not failures
    stack = Stack(found, calibration)
    fit = fit_of(found, calibration, priors=read_priors(catalog.root / "calibration/priors.yaml"))
    ttft, tpot = fit.predict(np.zeros(len(fit.parameters)))
    assert len(stack.cells) == 4
    return [
        replace(
            s,
            point=replace(s.point, ttft_ms=1e3 * a * TRUTH, tpot_ms=1e3 * b * TRUTH),
        )
        for s, a, b in zip(found, ttft.tolist(), tpot.tolist(), strict=True)
    ]


def fit_of(samples: list[Sample], calibration: Calibration, priors: PriorsFile) -> Fit:
    spreads = {name: row.spread for name, row in priors.factors.items()}
    return Fit(
        Stack(samples, calibration), calibration, shipped_hierarchy(priors), spreads, FitSettings()
    )


def test_the_stack_predicts_what_the_step_model_does(
    catalog: Catalog, calibration: Calibration, samples: list[Sample], priors: PriorsFile
) -> None:
    fit = fit_of(samples, calibration, priors)
    _, tpot = fit.predict(np.zeros(len(fit.parameters)))
    for sample, predicted in zip(samples[:6], tpot[:6], strict=True):
        steps = step_model(deployment_of(sample.point, catalog, calibration), calibration)
        assert predicted == pytest.approx(measured_times(sample.run, steps)[1], rel=1e-9)


def test_a_fit_moves_predictions_to_the_measurements_and_is_deterministic(
    calibration: Calibration, samples: list[Sample], priors: PriorsFile
) -> None:
    fit = fit_of(samples, calibration, priors)
    result = fit.run()
    _, tpot = fit.predict(result.shifts)
    measured = np.array([sample.tpot_s for sample in samples])
    assert np.median(np.abs(tpot / measured - 1)) < 0.08
    np.testing.assert_array_equal(fit.run().shifts, result.shifts)


def test_a_left_out_group_is_not_seen(
    calibration: Calibration, samples: list[Sample], priors: PriorsFile
) -> None:
    odd = [
        slower(sample, 5.0) if sample.point.model == "Qwen/Qwen3-8B" else sample
        for sample in samples
    ]
    group = np.array([model_and_gpu(s) == ("Qwen/Qwen3-8B", "h100-sxm-80gb") for s in samples])
    others = np.array([s.point.model == "Qwen/Qwen3-32B" for s in samples])
    honest = cross_validate(fit_of(samples, calibration, priors), samples, model_and_gpu)
    changed = [o if g else s for o, s, g in zip(odd, samples, group, strict=True)]
    again = cross_validate(fit_of(changed, calibration, priors), changed, model_and_gpu)
    np.testing.assert_allclose(again.tpot_s[group], honest.tpot_s[group], rtol=1e-9)
    assert not np.allclose(again.tpot_s[others], honest.tpot_s[others], rtol=1e-3)


def test_balance_lets_groups_count_equally() -> None:
    weights = balance(["a"] * 8 + ["b"] * 2)
    assert weights[:8].sum() == pytest.approx(weights[8:].sum())


def test_a_factor_never_leaves_its_bounds() -> None:
    scale = Scale(0.2, 0.95)
    assert scale.value(-40) == pytest.approx(0.2)
    assert scale.value(40) == pytest.approx(0.95)
    assert scale.value(scale.position(0.6)) == pytest.approx(0.6)


def test_the_shipped_file_round_trips(catalog: Catalog, tmp_path: Path) -> None:
    shipped = catalog.root / "calibration" / "fitted.json"
    file = read_fitted(shipped)
    assert dump_shipped(file) == shipped.read_text()
    own = tmp_path / "own.yaml"
    own.write_text(dump_fitted(file))
    assert read_fitted(own) == file


def test_runs_that_contradict_their_record_are_not_fitted() -> None:
    """Groups weigh alike: a lone run of weight 0.05 would count as two and a half of a sweep of 50."""
    points = read_points(load_catalog().root / "calibration" / "serving_points.csv").points
    left_out = [p for p in points if p not in undoubted(points)]
    assert 0 < len(left_out) < 0.1 * len(points)
    assert {p.weight for p in left_out} == {0.05}
    lone, sweep = balance([0] + [1] * 50)[[0, 1]]
    assert lone == pytest.approx(50 * sweep)


def test_runs_with_drafts_are_marked() -> None:
    """Runs with MTP once stood as runs without: two of one day and layout, one a third faster."""
    points = read_points(load_catalog().root / "calibration" / "serving_points.csv").points
    drafted = [p for p in points if p.speculative]
    assert Counter((p.model, p.speculative) for p in drafted) == {
        ("deepseek-ai/DeepSeek-R1", "mtp"): 47,
        ("Qwen/Qwen3.5-397B-A17B", "mtp"): 21,
    }
    plain = {_run(p): p.tpot_ms for p in points if not p.speculative}
    pairs = [(p.tpot_ms, plain[_run(p)]) for p in drafted if _run(p) in plain]
    assert len(pairs) == 11
    assert all(with_drafts < without for with_drafts, without in pairs)


def test_without_drafts_half_the_gpus_are_never_faster() -> None:
    """21 runs of Qwen3.5 on four B200 took 0.65 to 0.97 of the time per token on eight, four days later."""
    points = read_points(load_catalog().root / "calibration" / "serving_points.csv").points
    few = [p for p in points if not p.speculative and p.measured_on and p.concurrency <= 16]
    known = {_on(p, 2 * p.tensor_parallel): p for p in few}
    pairs = [
        (p, known[_on(p, p.tensor_parallel)]) for p in few if _on(p, p.tensor_parallel) in known
    ]
    near = [
        smaller.tpot_ms / larger.tpot_ms
        for larger, smaller in pairs
        if abs(date.fromisoformat(larger.measured_on) - date.fromisoformat(smaller.measured_on))
        <= timedelta(50)
    ]
    assert len(near) > 150
    assert min(near) > 0.95


def _on(point: MeasuredPoint, tensor_parallel: int) -> tuple[object, ...]:
    load = (point.prompt_tokens, point.output_tokens, point.concurrency)
    return (point.group, point.data_parallel, tensor_parallel, *load)


def _run(point: MeasuredPoint) -> tuple[object, ...]:
    degrees = (point.tensor_parallel, point.data_parallel, point.expert_parallel)
    load = (point.prompt_tokens, point.output_tokens, point.concurrency)
    return (point.group, *degrees, *load, point.measured_on, point.engine_version)
