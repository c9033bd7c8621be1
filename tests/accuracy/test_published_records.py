"""Records of others: what would be promised for the same stays below 1.1 of them, or is flagged."""

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
from planner.catalog.store import Catalog
from planner.performance.factors import load_calibration


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
