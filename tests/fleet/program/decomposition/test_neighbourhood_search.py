"""A better fleet near a known one: never worse, always a fleet, the bound untouched."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import fleet_instances
import pytest

from planner.fleet.program.decomposition.neighbourhood_search import blocks_of, improve, worth_it
from planner.fleet.program.objective import cost
from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import build, solve
from planner.fleet.program.solver import SolverLimits, minimise


@pytest.mark.parametrize(
    "make", [fleet_instances.mixes, fleet_instances.periods], ids=lambda m: m.__name__
)
@pytest.mark.parametrize("seed", range(5))
def test_it_reaches_a_bound_that_can_be_reached(make: Callable[[int], Problem], seed: int) -> None:
    columns = build(make(seed))
    objective = cost(columns)
    best = minimise(columns.model, objective, SolverLimits())
    if best.objective is None:
        return
    poor = minimise(columns.model, objective, SolverLimits(gap=0.9))
    start = replace(poor, bound=best.objective, status="feasible")
    effort = SolverLimits(gap=1e-6)
    found = improve(
        columns.model, objective, blocks_of(columns), start, effort, time.monotonic() + 5
    )
    assert found.status == "optimal"
    assert found.objective == pytest.approx(best.objective, abs=1e-5)
    assert found.bound == best.objective
    assert found.values is not None
    assert all(row.holds(found.values) for row in columns.model.rows)


def wide() -> Problem:
    """Many services on kinds of odd capacities: a good bound comes long before a good fleet."""
    demands = tuple(Demand(f"s{i}", f"s{i}", (7.3 + 1.7 * i,)) for i in range(24))
    kinds = tuple(
        ReplicaKind(
            f"k{i}-{j}", f"g{j % 4}", 2 ** (j % 3), {f"s{i}": 1.1 + 0.37 * ((i * 7 + j * 5) % 11)}
        )
        for i in range(24)
        for j in range(16)
    )
    offers = tuple(NodeOffer(f"o{j}", f"g{j}", 8, 9.0 + j, max_nodes=30) for j in range(4))
    return Problem(demands, kinds, offers)


def test_a_gap_is_reached_and_proved() -> None:
    solution = solve(wide(), gap=0.05, time_limit_s=20)
    assert solution.status == "optimal"
    assert solution.gap is not None
    assert solution.gap <= 0.05
    assert solution.bound_usd_per_hour is not None
    assert solution.objective_usd_per_hour is not None
    assert solution.bound_usd_per_hour <= solution.objective_usd_per_hour


def test_a_proof_is_left_to_the_solver_alone() -> None:
    columns = build(wide())
    assert worth_it(columns, SolverLimits(gap=0.01))
    assert not worth_it(columns, SolverLimits(gap=0.0))
    assert not worth_it(build(fleet_instances.mixes(1)), SolverLimits(gap=0.01))
