"""Records and runs of others: promises below 1.1 of a record; runs predicted as they were measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.accuracy.published.records import (
    FLAGGED_ABOVE,
    Promise,
    promise_for,
    promises,
    read_records,
)
from planner.accuracy.published.runs import MAKESPAN, OUTPUT, PublishedRun, published_runs
from planner.catalog.store import Catalog
from planner.evidence import Evidence
from planner.performance.factors import load_calibration
from planner.reporting.accuracy.accuracy_published import runs_section
from planner.reporting.document import Table


@pytest.fixture(scope="module")
def promised(catalog: Catalog) -> list[Promise]:
    return promises(catalog, load_calibration(catalog))


def test_no_plan_promises_more_than_a_tenth_above_a_record(promised: list[Promise]) -> None:
    assert len(promised) >= 3
    assert not any(promise.flagged for promise in promised)
    assert all(0.7 < promise.ratio < FLAGGED_ABOVE for promise in promised)
    assert all(p.sized_tokens_per_s <= p.predicted_tokens_per_s for p in promised)


def test_a_promise_above_a_record_is_flagged(promised: list[Promise]) -> None:
    first = promised[0]
    assert replace(first, sized_tokens_per_s=1.11 * first.record.output_tokens_per_s).flagged
    assert not replace(first, sized_tokens_per_s=1.09 * first.record.output_tokens_per_s).flagged


def test_a_tighter_target_promises_less(catalog: Catalog) -> None:
    record = read_records(catalog.root / "calibration")[0]
    calibration = load_calibration(catalog)
    tight = promise_for(
        record.model_copy(update={"tpot_p99_s": 0.04, "ttft_p99_s": 0.45}), catalog, calibration
    )
    loose = promise_for(record, catalog, calibration)
    assert 0 < tight.predicted_tokens_per_s < loose.predicted_tokens_per_s


@pytest.fixture(scope="module")
def runs(catalog: Catalog) -> list[PublishedRun]:
    return published_runs(catalog, load_calibration(catalog))


def test_every_run_names_its_source_and_is_predicted(runs: list[PublishedRun]) -> None:
    assert len(runs) >= 60
    assert all(run.point.source and run.predicted > 0 for run in runs)


def test_runs_of_llama_70b_under_tensorrt_llm_are_met_within_an_eighth(
    runs: list[PublishedRun],
) -> None:
    """Ten runs of the maker on four kinds of GPU, in FP8 and NVFP4, from 2,048 to 33,792 tokens a request."""
    own = [run for run in runs if run.point.model == "meta-llama/Llama-3.1-70B"]
    assert len(own) == 10
    assert all(run.speed == pytest.approx(1.0, abs=0.125) for run in own)


def test_windowed_attention_of_large_batches_is_not_priced_as_unlimited(
    runs: list[PublishedRun],
) -> None:
    """gpt-oss-20b was predicted at 0.43 of its rate on H200: kernels of 1,024 sequences, timed on short
    contexts alone, were continued in proportion to a context that half the layers do not read."""
    own = [run for run in runs if run.point.model == "openai/gpt-oss-20b"]
    assert all(run.speed > 0.55 for run in own)
    hopper = [run for run in own if run.point.gpu != "b200-sxm-180gb"]
    assert all(not run.missed for run in hopper)


def test_a_longer_run_than_published_is_slower(runs: list[PublishedRun]) -> None:
    run = next(run for run in runs if run.measure == MAKESPAN)
    slow = replace(run, predicted=2.0 * run.published)
    assert slow.speed == pytest.approx(0.5)
    assert slow.missed
    fast = replace(run, measure=OUTPUT, predicted=1.3 * run.published)
    assert fast.speed == pytest.approx(1.3)
    assert not fast.missed


def test_the_page_shows_every_run_and_says_which_are_missed(runs: list[PublishedRun]) -> None:
    section = runs_section(runs)
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert len(table.rows) == len(runs)
    notes = [str(row[-1]) for row in table.rows]
    assert sum(note.startswith("missed") for note in notes) == sum(run.missed for run in runs)
    assert {run.evidence for run in runs} >= {Evidence.KERNELS, Evidence.MODELLED}
