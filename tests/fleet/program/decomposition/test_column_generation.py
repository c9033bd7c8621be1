"""Covers in place of replicas: a bound no fleet is below, and fleets that keep every row."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import fleet_instances
import pytest

from planner.fleet.program.decomposition.column_generation import Generation, generate, tighten
from planner.fleet.program.decomposition.cover_heuristic import cheapest_of_covers
from planner.fleet.program.linear_program import value
from planner.fleet.program.objective import cost
from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind, Resilience
from planner.fleet.program.program import build
from planner.fleet.program.solver import SolverLimits, minimise

MAKERS = [fleet_instances.mixes, fleet_instances.periods]
every_kind = pytest.mark.parametrize("make", MAKERS, ids=lambda m: m.__name__)


def made_for(problem: Problem) -> Generation | None:
    columns = build(problem)
    return generate(columns, cost(columns), SolverLimits())


@every_kind
def test_the_bound_is_below_every_fleet_and_the_fleet_is_one(
    make: Callable[[int], Problem],
) -> None:
    bounded = 0
    for seed in range(60):
        made = made_for(make(seed))
        if made is None:
            continue
        columns = build(make(seed))
        best = minimise(columns.model, made.objective, SolverLimits())
        if best.objective is None:
            continue
        bounded += 1
        assert made.bound <= best.objective + 1e-6
        found = cheapest_of_covers(made, SolverLimits(gap=0.01), time.monotonic() + 0.3)
        if found.values is None:
            continue
        assert all(row.holds(found.values) for row in columns.model.rows)
        assert found.objective == pytest.approx(value(made.objective, found.values))
        assert found.objective >= best.objective - 1e-6
        if found.status == "optimal":
            assert found.objective <= best.objective * 1.0102
    assert bounded > 10


@every_kind
def test_knapsack_rows_exclude_no_best_fleet(make: Callable[[int], Problem]) -> None:
    added = 0
    for seed in range(40):
        made = made_for(make(seed))
        if made is None:
            continue
        before = minimise(made.columns.model, made.objective, SolverLimits())
        rows = len(made.columns.model.rows)
        tighten(made)
        added += len(made.columns.model.rows) - rows
        after = minimise(made.columns.model, made.objective, SolverLimits())
        assert before.status == after.status
        if before.values is not None:
            assert after.objective == pytest.approx(before.objective, abs=1e-6)
            assert all(row.holds(before.values) for row in made.columns.model.rows[rows:])
    assert added > 0


def small(**more: Any) -> Problem:
    demands = tuple(Demand(s, s, (7.0,)) for s in ("x", "y"))
    kinds = tuple(
        ReplicaKind(f"{s}{n}", "a", n, {s: 2.3 * n**0.9}) for s in ("x", "y") for n in (1, 2, 4)
    )
    return Problem(demands, kinds, (NodeOffer("a", "a", 4, 3.0),), **more)


def test_covers_do_not_stand_for_replicas_where_more_of_them_help() -> None:
    assert made_for(small()) is not None
    assert made_for(small(resilience=Resilience(replicas=1))) is None
    assert made_for(small(serve_all=False)) is None


def test_the_bound_is_above_that_of_fractions() -> None:
    columns = build(small())
    made = generate(columns, cost(columns), SolverLimits())
    assert made is not None
    fractions = 2 * 7.0 / (2.3 * 4) * 4**0.1 * 3.0 / 4 * 4
    assert made.bound > min(fractions, 2 * 7.0 / 2.3 * 3.0 / 4) * 1.05
