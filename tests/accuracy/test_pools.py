"""Disaggregated runs: two pools, the cache that travels between them, and which of them holds back."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from planner.accuracy.measures import Measure
from planner.accuracy.point import MeasuredPoint, PoolLayout
from planner.accuracy.points import read_points
from planner.accuracy.pools.errors import PoolRun
from planner.accuracy.validation import Predictor
from planner.catalog.store import Catalog
from planner.performance.factors import load_calibration
from planner.reporting.accuracy.accuracy_pools import pools_section
from planner.reporting.document import Table

POOLS = MeasuredPoint(
    "openai/gpt-oss-120b",
    "h200-sxm-141gb",
    "vllm",
    "mxfp4",
    1,
    2048,
    256,
    32,
    others=((Measure("ttft", 50.0), 0.3), (Measure("tokens_per_s_per_gpu"), 1000.0)),
    requests=200,
    prefill=PoolLayout(1, 1),
)


@pytest.fixture(scope="module")
def predictor(catalog: Catalog) -> Predictor:
    return Predictor(catalog, load_calibration(catalog))


def test_every_error_left_out_has_its_row_and_the_page_shows_it(repository: Path) -> None:
    with (repository / "benchmarks" / "released" / "pool_left_out.csv").open(newline="") as file:
        left_out = {row["measure"]: float(row["left_out"]) for row in csv.DictReader(file)}
    run = PoolRun(POOLS, {Measure("ttft", 50.0): 0.33})
    table = next(
        block for block in pools_section([run], left_out).blocks if isinstance(block, Table)
    )
    rows = {row[0]: row for row in table.rows}
    assert left_out.keys() <= rows.keys()
    assert rows["TTFT p50"][1:4] == (1, left_out["TTFT p50"], pytest.approx(0.1))
    page = (repository / "docs" / "reference" / "accuracy.md").read_text(encoding="utf-8")
    for measure, error in left_out.items():
        assert re.search(rf"\| {re.escape(measure)} \| \d+ \| {100 * error:.0f} % \|", page)


def test_more_prefill_workers_shorten_the_wait_for_a_first_token(predictor: Predictor) -> None:
    one, four = (predictor.predict(replace(POOLS, prefill=PoolLayout(n, 1))) for n in (1, 4))
    assert four.ttft_ms < one.ttft_ms


def test_more_decode_workers_shorten_the_time_of_a_token(predictor: Predictor) -> None:
    one, four = (predictor.predict(replace(POOLS, replicas=n)) for n in (1, 4))
    assert four.tpot_ms < one.tpot_ms


def test_prompts_do_not_stall_tokens_as_they_do_on_one_replica(predictor: Predictor) -> None:
    pools = predictor.predict(POOLS)
    one = predictor.predict(replace(POOLS, prefill=None))
    assert pools.tpot_ms < one.tpot_ms


def test_measured_pools_are_met(catalog: Catalog, predictor: Predictor) -> None:
    """Median TPOT over a sample of the shipped disaggregated runs on two pools."""
    table = read_points(catalog.root / "calibration" / "percentile_points.csv")
    runs = [p for p in table.points if p.prefill is not None and p.concurrency <= 300][::25]
    median = Measure("tpot", 50.0)
    off = sorted(abs(predictor.predict(p).values[median] / p.measures[median] - 1) for p in runs)
    assert off[len(off) // 2] < 0.2
