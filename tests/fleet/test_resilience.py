"""Fleets that hold after failures, against brute force that plays every failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import fleet_instances
import pytest
from failure_oracle import cheapest_after_failures

from planner.fleet.problem import Demand, NodeOffer, Problem, ReplicaKind, Resilience
from planner.fleet.program import build, solve

MOST_NODES = 7
MOST_ITEMS = 6


def compare(seed: int, make: Callable[[int], Problem] = fleet_instances.redundancy) -> None:
    problem = make(seed)
    found = solve(problem)
    small = make is fleet_instances.redundancy
    expected = cheapest_after_failures(problem, MOST_NODES if small else MOST_ITEMS)
    if not small and sum(found.billed.values()) > MOST_ITEMS:
        return
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


@pytest.mark.parametrize("seed", range(40))
def test_wide_and_small_replicas_survive_lost_nodes(seed: int) -> None:
    compare(seed, fleet_instances.wide_and_small)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(5))
def test_wide_and_small_replicas_survive_lost_nodes_on_500(block: int) -> None:
    for seed in range(100 * block, 100 * block + 100):
        compare(seed, fleet_instances.wide_and_small)


def test_many_lost_nodes_need_no_list_of_failures() -> None:
    keys = ("short", "long")
    kinds = tuple(
        ReplicaKind(f"k{j}", "ab"[j % 2], n, {s: 1.5 * n + j + i for i, s in enumerate(keys)})
        for j, n in enumerate((1, 1, 2, 2, 4, 4))
    )
    problem = Problem(
        tuple(Demand(s, "chat", (40.0,)) for s in keys),
        kinds,
        tuple(NodeOffer(g, g, 4, 6.0 + i) for i, g in enumerate("ab")),
        resilience=Resilience(nodes=3),
    )
    solution = solve(problem)
    assert solution.status == "optimal"
    assert solution.variables < 2000
    whole = solve(replace(problem, resilience=Resilience()))
    assert sum(solution.billed.values()) >= sum(whole.billed.values()) + 3


def test_what_was_left_out_is_said() -> None:
    kinds = tuple(ReplicaKind(f"k{j}", "a", 1, {"s": 1.0 + j / 7}) for j in range(9))
    problem = Problem(
        (Demand("s", "s", (20.0,)),),
        kinds,
        (NodeOffer("a", "a", 8, 8.0),),
        resilience=Resilience(nodes=1),
    )
    columns = build(problem)
    assert any("3000 ways" in told for told in columns.restrictions)
    assert not build(replace(problem, kinds=kinds[:2])).restrictions
