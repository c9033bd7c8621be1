"""Knapsack rows exclude no fleet, and are as tight as the cheapest whole cover."""

from __future__ import annotations

import itertools

import fleet_instances
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet.linear import value
from planner.fleet.objective import cost
from planner.fleet.program import build
from planner.fleet.solver import Effort, minimise
from planner.fleet.tightening import cheapest_cover, tighten


@given(
    kinds=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 12)), min_size=1, max_size=3),
    need=st.integers(1, 25),
)
@settings(max_examples=150, deadline=None)
def test_the_cheapest_cover_is_the_cheapest_of_all(kinds: list[tuple[int, int]], need: int) -> None:
    counts = itertools.product(*(range(-(-need // size) + 1) for _, size in kinds))
    best = min(
        sum(n * price for n, (price, _) in zip(c, kinds, strict=True))
        for c in counts
        if sum(n * size for n, (_, size) in zip(c, kinds, strict=True)) >= need
    )
    assert cheapest_cover([(float(p), float(s)) for p, s in kinds], float(need)) == best


def test_a_search_too_long_is_given_up() -> None:
    alike = [(100.0 + i / 1000, 1.0 + i / 99999) for i in range(40)]
    assert cheapest_cover(alike, 1234.56789) is None


@pytest.mark.parametrize("make", [fleet_instances.mixes, fleet_instances.periods])
def test_no_fleet_is_excluded(make: object) -> None:
    added = 0
    for seed in range(40):
        columns = build(make(seed))  # type: ignore[operator]
        before = minimise(columns.model, cost(columns), Effort())
        rows = len(columns.model.rows)
        tighten(columns, cost(columns), Effort())
        added += len(columns.model.rows) - rows
        after = minimise(columns.model, cost(columns), Effort())
        assert before.status == after.status
        if before.values is not None:
            assert after.objective == pytest.approx(before.objective, abs=1e-6)
            for row in columns.model.rows[rows:]:
                assert row.family == "knapsack"
                assert value(row.terms, before.values) >= 1 - 1e-6
    assert added > 0
