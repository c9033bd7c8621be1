from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from planner.accuracy.own_fit import fit_own
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.validation import Predictor
from planner.catalog.store import Catalog, load_catalog
from planner.cli.calibrate import command
from planner.errors import InputError
from planner.evidence import Evidence
from planner.performance.factors import load_calibration

MODEL = "Qwen/Qwen3-8B"
SLOWER = 1.4


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def point(concurrency: int, ttft_ms: float = 1.0, tpot_ms: float = 1.0) -> MeasuredPoint:
    return MeasuredPoint(MODEL, "l40s", "vllm", "fp8", 1, 1024, 256, concurrency, ttft_ms, tpot_ms)


@pytest.fixture(scope="module")
def measured(catalog: Catalog) -> list[MeasuredPoint]:
    """A GPU that is 1.4 times as slow as predicted; a test's own numbers, not a measurement."""
    predictor = Predictor(catalog, load_calibration(catalog))
    found = [(n, predictor.predict(point(n))) for n in (1, 4, 16, 64)]
    return [point(n, p.ttft_ms * SLOWER, p.tpot_ms * SLOWER) for n, p in found]


def csv_of(tmp_path: Path, points: list[MeasuredPoint]) -> Path:
    names = (
        "model,gpu,engine,weights,tensor_parallel,prompt_tokens,output_tokens,concurrency,"
        "ttft_ms,tpot_ms"
    )
    rows = [",".join(str(getattr(p, name)) for name in names.split(",")) for p in points]
    path = tmp_path / "own.csv"
    path.write_text("\n".join((names, *rows)) + "\n")
    return path


def test_a_handful_of_points_improves_their_engine_and_gpu(
    catalog: Catalog, measured: list[MeasuredPoint], tmp_path: Path
) -> None:
    shipped = load_calibration(catalog)
    own = tmp_path / "own.yaml"
    result = CliRunner().invoke(
        command, [str(csv_of(tmp_path, measured)), "-o", str(own)], standalone_mode=False
    )
    assert result.exception is None
    assert "Measure next" in result.stdout
    calibrated = load_calibration(catalog, own)
    before = Predictor(catalog, shipped).predict(point(32))
    after = Predictor(catalog, calibrated).predict(point(32))
    assert after.tpot_ms / before.tpot_ms == pytest.approx(SLOWER, rel=0.1)
    assert after.evidence is Evidence.CALIBRATED
    elsewhere = MeasuredPoint(MODEL, "h100-sxm-80gb", "vllm", "fp8", 1, 1024, 256, 32, 1.0, 1.0)
    assert Predictor(catalog, calibrated).predict(elsewhere).tpot_ms == pytest.approx(
        Predictor(catalog, shipped).predict(elsewhere).tpot_ms
    )


def test_points_the_model_already_predicts_move_nothing(catalog: Catalog) -> None:
    calibration = replace(load_calibration(catalog), kernels=None)
    found = Predictor(catalog, calibration).predict(point(16))
    fit = fit_own([point(16, found.ttft_ms, found.tpot_ms)], catalog, calibration, "2026-01-01")
    assert all(abs(row.shift) < 0.01 for row in fit.file.shifts)
    assert fit.unlearned


def test_the_suggested_measurement_is_one_that_was_not_made(
    catalog: Catalog, measured: list[MeasuredPoint]
) -> None:
    fit = fit_own(measured[:1], catalog, load_calibration(catalog), "2026-01-01")
    gains = [suggestion.gain for suggestion in fit.next_measurements]
    assert gains == sorted(gains, reverse=True)
    assert 0 < gains[0] < 1


def test_no_usable_point_is_an_error(catalog: Catalog) -> None:
    unknown = MeasuredPoint("nobody/nothing", "l40s", "vllm", "fp8", 1, 1024, 256, 8, 1.0, 1.0)
    with pytest.raises(InputError, match="none of the points"):
        fit_own([unknown], catalog, load_calibration(catalog), "2026-01-01")


def test_result_files_need_to_be_reported_where_they_were_measured(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    run = {
        "mean_ttft_ms": 10,
        "max_concurrency": 4,
        "completed": 40,
        "total_input_tokens": 4000,
        "total_output_tokens": 400,
    }
    path.write_text(json.dumps(run))
    with pytest.raises(InputError, match="does not say the model"):
        CliRunner().invoke(
            command,
            [str(path), "-o", str(tmp_path / "own.yaml")],
            standalone_mode=False,
            catch_exceptions=False,
        )


def test_a_point_faster_than_its_gpu_could_be_is_left_out_with_the_reason(
    catalog: Catalog, measured: list[MeasuredPoint]
) -> None:
    seconds = replace(measured[0], tpot_ms=measured[0].tpot_ms / 1e3)
    fit = fit_own([*measured, seconds], catalog, load_calibration(catalog), "2026-07-22")
    ((left_out, reason),) = fit.failures
    assert left_out is seconds
    assert "in which the GPUs read the weights that a token needs" in reason
    assert len(fit.samples) == len(measured)
