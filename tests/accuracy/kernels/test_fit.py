"""The correction over measured kernels: what a fit recovers, and what the shipped one reached."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.accuracy.kernels.fit import KernelFit, leave_models_out
from planner.accuracy.kernels.samples import KernelSample, kernel_samples
from planner.accuracy.kernels.shipped import TABLES, digest_of, families
from planner.accuracy.metrics import weighted_quantiles
from planner.accuracy.points import read_points
from planner.catalog.store import load_catalog
from planner.catalog.tables import read_yaml, validate_document
from planner.performance.factors import load_calibration
from planner.performance.kernels.correction import (
    FITTED,
    KernelFitted,
    levels_of,
    read_kernel_priors,
)

CATALOG = load_catalog()
FOLDER = CATALOG.root / "calibration"
PRIORS = read_kernel_priors(FOLDER)


@pytest.fixture(scope="module")
def samples() -> list[KernelSample]:
    points = read_points(FOLDER / TABLES[0]).points
    few = [p for p in points if p.model in ("MiniMaxAI/MiniMax-M2.5", "openai/gpt-oss-120b")][::8]
    return kernel_samples(few, CATALOG, load_calibration(CATALOG))


def test_a_fit_to_its_own_predictions_moves_nothing(samples: list[KernelSample]) -> None:
    fit = KernelFit(samples, PRIORS)
    tpot, ttft = fit.predict(np.zeros(len(fit.keys)))
    text = [
        replace(s, tpot_s=float(a), ttft_s=float(b))
        for s, a, b in zip(samples, tpot, ttft, strict=True)
    ]
    assert np.abs(KernelFit(text, PRIORS).run()).max() < 1e-6


def test_a_fit_follows_what_all_runs_say(samples: list[KernelSample]) -> None:
    fit = KernelFit(samples, PRIORS)
    tpot, ttft = fit.predict(np.zeros(len(fit.keys)))
    slower = [
        replace(s, tpot_s=1.2 * float(a), ttft_s=float(b))
        for s, a, b in zip(samples, tpot, ttft, strict=True)
    ]
    found = KernelFit(slower, PRIORS)
    moved = found.predict(found.run())[0] / tpot
    assert 1.02 < np.median(moved) < 1.2


def test_left_out_models_are_predicted_by_the_others(samples: list[KernelSample]) -> None:
    fit = KernelFit(samples, PRIORS)
    names = {s.model_name for s in samples}
    assert len(names) == 2
    left = leave_models_out(fit, families(CATALOG, names))
    inside = fit.predict(fit.run())[0]
    measured = np.array([s.tpot_s for s in samples])
    assert np.abs(np.log(left.tpot_s / measured)).mean() >= np.abs(np.log(inside / measured)).mean()


def test_relatives_are_one_family() -> None:
    found = families(CATALOG, {"deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-R1"})
    assert len(set(found.values())) == 1


def test_weighted_quantiles_count_groups_equally() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    weights = np.array([0.25, 0.25, 0.25, 0.25, 1.0])
    assert weighted_quantiles(values, weights, (0.5,))[0] == pytest.approx(0.2, abs=0.25)
    assert weighted_quantiles(values, weights, (0.9,))[0] == 1.0


def test_the_shipped_correction_belongs_to_its_tables() -> None:
    shipped = validate_document(FOLDER / FITTED, read_yaml(FOLDER / FITTED), KernelFitted)
    assert shipped.provenance.data_sha256 == digest_of(FOLDER), "run: make accuracy"
    errors = shipped.provenance.errors
    assert errors["tpot_left_out_models_mean"] < 0.11
    assert errors["tpot_left_out_models_median"] < 0.08
    assert errors["throughput_left_out_models_mean"] < 0.11
    assert errors["throughput_left_out_models_median"] < 0.08


def test_margins_of_measured_kernels_rise_with_what_they_promise() -> None:
    margin = load_calibration(CATALOG).margins["measured kernels"]
    shipped = validate_document(FOLDER / FITTED, read_yaml(FOLDER / FITTED), KernelFitted).residuals
    assert shipped is not None
    errors = shipped.quantiles["kernels"]
    for quantiles, kind in ((margin.quantiles, "tpot"), (margin.ttft, "ttft")):
        left_out = np.interp(margin.levels, shipped.levels, errors[kind])
        assert quantiles == pytest.approx(left_out, abs=2e-3)
        assert list(quantiles) == sorted(quantiles)


def test_products_know_the_format_of_their_weights(samples: list[KernelSample]) -> None:
    traits = samples[0].traits
    assert levels_of("experts", traits, "1.0")["format"] == traits.expert_format
    assert "format" not in levels_of("step_s", traits, "1.0")
