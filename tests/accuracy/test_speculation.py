"""Runs with speculative decoding: what is recorded, published or assumed of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.accuracy.conditions import setup_of
from planner.accuracy.draft_acceptance import (
    acceptance_of,
    published_tokens_per_step,
    read_acceptance,
)
from planner.accuracy.measures import Measure
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.points import read_points
from planner.accuracy.validation import Predictor
from planner.catalog.store import Catalog
from planner.evidence import Evidence
from planner.performance.factors import Calibration, load_calibration

MTP = MeasuredPoint(
    "deepseek-ai/DeepSeek-R1",
    "mi355x",
    "atom",
    "fp8",
    8,
    1024,
    1024,
    16,
    100.0,
    10.0,
    speculative="mtp",
)


@pytest.fixture(scope="module")
def calibration(catalog: Catalog) -> Calibration:
    return load_calibration(catalog)


@pytest.mark.parametrize("drafted", [1, 3, 7])
@pytest.mark.parametrize("share", [0.2, 0.7, 0.95])
def test_acceptance_is_the_inverse_of_the_tokens_of_a_step(drafted: int, share: float) -> None:
    tokens = sum(share**i for i in range(drafted + 1))
    assert acceptance_of(tokens, drafted) == pytest.approx(share, abs=1e-6)


def test_published_lengths_lie_between_one_token_and_all_of_them(catalog: Catalog) -> None:
    rows = read_acceptance(catalog.root / "calibration" / "acceptance.csv")
    assert len(rows) > 500
    assert all(1 <= row.tokens_per_step <= row.draft_tokens + 1 for row in rows)
    known = published_tokens_per_step(rows, "Qwen/Qwen3.5-397B-A17B", "mtp", 3)
    assert known == pytest.approx(3.36, abs=0.1)
    assert published_tokens_per_step(rows, "nobody/nothing", "mtp", 3) is None


def test_what_is_recorded_comes_before_what_is_published(
    catalog: Catalog, calibration: Calibration
) -> None:
    text = replace(MTP, draft_tokens=2, acceptance=2.1)
    settings = setup_of(text, catalog, calibration).deployment.settings
    assert settings.draft_tokens == 2
    assert settings.tokens_per_step == pytest.approx(2.1, rel=1e-3)
    as_rate = replace(MTP, draft_tokens=2, acceptance=0.5)
    settings = setup_of(as_rate, catalog, calibration).deployment.settings
    assert settings.tokens_per_step == pytest.approx(1.75)


def test_an_assumed_recipe_is_graded_assumed(catalog: Catalog, calibration: Calibration) -> None:
    setup = setup_of(MTP, catalog, calibration)
    assert setup.assumed == ("drafted tokens", "acceptance")
    assert Predictor(catalog, calibration).predict(MTP).evidence is Evidence.ASSUMED


def test_drafts_that_are_never_accepted_only_cost(
    catalog: Catalog, calibration: Calibration
) -> None:
    predictor = Predictor(catalog, calibration)
    plain = predictor.predict(replace(MTP, speculative=""))
    useless = predictor.predict(replace(MTP, draft_tokens=3, acceptance=1e-6))
    useful = predictor.predict(replace(MTP, draft_tokens=3, acceptance=2.5))
    assert useless.tpot_ms > plain.tpot_ms > useful.tpot_ms
    assert useful.tpot_ms > plain.tpot_ms / 2.5


def test_measured_runs_with_mtp_are_met_within_a_few_percent(
    catalog: Catalog, calibration: Calibration
) -> None:
    """Median over the shipped runs on one replica of median TPOT, by engine."""
    table = read_points(catalog.root / "calibration" / "percentile_points.csv")
    predictor, median = Predictor(catalog, calibration), Measure("tpot", 50.0)
    for engine in ("sglang", "atom", "tensorrt-llm"):
        runs = [
            p for p in table.points if p.engine == engine and p.speculative and p.prefill is None
        ][::3]
        off = sorted(
            abs(predictor.predict(p).values[median] / p.measures[median] - 1) for p in runs
        )
        assert off[len(off) // 2] < 0.15, engine
