"""The program against brute force on what its other oracle leaves out: time, owned nodes, places."""

from __future__ import annotations

from collections.abc import Callable

import horizon_instances
import pytest
from failure_oracle import cheapest_after_failures
from horizon_oracle import cheapest_over_time

from planner.fleet.program.problem import Problem
from planner.fleet.program.program import solve

MOST_NODES = 6
KINDS = [
    horizon_instances.shared_day,
    horizon_instances.growth,
    horizon_instances.pools,
    horizon_instances.owned,
    horizon_instances.few_places,
]


def compare(make: Callable[[int], Problem], seed: int) -> None:
    problem = make(seed)
    found = solve(problem)
    if problem.resilience.by_place:
        if sum(found.billed.values()) > MOST_NODES:
            return
        expected = cheapest_after_failures(problem, MOST_NODES)
    else:
        expected = cheapest_over_time(problem)
    if expected is None:
        assert found.status == "infeasible", f"seed {seed}: {found.objective_usd_per_hour}"
    else:
        assert found.status == "optimal", f"seed {seed}: {found.status}, not {expected}"
        assert found.objective_usd_per_hour == pytest.approx(expected, abs=1e-6), f"seed {seed}"


@pytest.mark.parametrize("make", KINDS, ids=lambda m: m.__name__)
@pytest.mark.parametrize("seed", range(12))
def test_brute_force_agrees(make: Callable[[int], Problem], seed: int) -> None:
    compare(make, seed)


@pytest.mark.long
@pytest.mark.parametrize("make", KINDS, ids=lambda m: m.__name__)
@pytest.mark.parametrize("block", range(4))
def test_brute_force_agrees_on_1000(make: Callable[[int], Problem], block: int) -> None:
    for seed in range(50 * block, 50 * block + 50):
        compare(make, seed)
