"""Fleets that hold after failures, against brute force that plays every failure."""

from __future__ import annotations

import fleet_instances
import pytest
from failure_oracle import cheapest_after_failures

from planner.fleet.program import solve

MOST_NODES = 7


def compare(seed: int) -> None:
    problem = fleet_instances.redundancy(seed)
    found = solve(problem)
    expected = cheapest_after_failures(problem, MOST_NODES)
    if expected is None:
        assert found.status == "infeasible" or sum(found.billed.values()) > MOST_NODES
    else:
        assert found.status == "optimal"
        assert found.objective_usd_per_hour == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_brute_force_agrees_after_failures(seed: int) -> None:
    compare(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(5))
def test_brute_force_agrees_after_failures_on_500(block: int) -> None:
    for seed in range(100 * block, 100 * block + 100):
        compare(seed)
