"""The program against brute force on small random fleets of each kind."""

from __future__ import annotations

from collections.abc import Callable

import fleet_instances
import pytest
from fleet_oracle import cheapest

from planner.fleet.program.problem import Problem
from planner.fleet.program.program import solve

KINDS = [
    fleet_instances.mixes,
    fleet_instances.buckets,
    fleet_instances.packing,
    fleet_instances.periods,
]


def compare(problem: Problem, solver: str = "highs") -> None:
    expected = cheapest(problem)
    found = solve(problem, solver=solver)
    if expected is None:
        assert found.status == "infeasible"
    else:
        assert found.status == "optimal"
        assert found.objective_usd_per_hour == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("make", KINDS, ids=lambda m: m.__name__)
@pytest.mark.parametrize("seed", range(25))
def test_brute_force_agrees(make: Callable[[int], Problem], seed: int) -> None:
    compare(make(seed))


@pytest.mark.long
@pytest.mark.parametrize("make", KINDS, ids=lambda m: m.__name__)
@pytest.mark.parametrize("block", range(5))
def test_brute_force_agrees_on_500_of_each(make: Callable[[int], Problem], block: int) -> None:
    for seed in range(100 * block, 100 * block + 100):
        compare(make(seed))
