"""Fleets that hold after failures, against brute force that tries every failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import fleet_instances
import pytest
from failure_oracle import cheapest_after_failures

from planner.fleet.program.problem import (
    Demand,
    FleetLimits,
    NodeOffer,
    Problem,
    ReplicaKind,
    Resilience,
)
from planner.fleet.program.program import build, solve

MOST_NODES = 7
MOST_ITEMS = 6
SEEDS = range(16)  # of 500, all of which the long run tries


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


@pytest.mark.parametrize("seed", SEEDS)
def test_brute_force_agrees_after_failures(seed: int) -> None:
    compare(seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(5))
def test_brute_force_agrees_after_failures_on_500(block: int) -> None:
    for seed in range(100 * block, 100 * block + 100):
        compare(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_wide_and_small_replicas_survive_lost_nodes(seed: int) -> None:
    compare(seed, fleet_instances.wide_and_small)


@pytest.mark.long
@pytest.mark.parametrize("block", range(5))
def test_wide_and_small_replicas_survive_lost_nodes_on_500(block: int) -> None:
    for seed in range(100 * block, 100 * block + 100):
        compare(seed, fleet_instances.wide_and_small)


@pytest.mark.parametrize("seed", SEEDS)
def test_several_sorts_of_loss_are_each_counted_from_the_whole_fleet(seed: int) -> None:
    compare(seed, fleet_instances.several_losses)


@pytest.mark.long
@pytest.mark.parametrize("block", range(5))
def test_several_sorts_of_loss_on_500(block: int) -> None:
    for seed in range(100 * block, 100 * block + 100):
        compare(seed, fleet_instances.several_losses)


@pytest.mark.parametrize("most_kinds", [1, None])
def test_a_spare_replica_and_a_spare_node_are_the_same_spare(most_kinds: int | None) -> None:
    problem = Problem(
        (Demand("s", "s", (20.0,), max_kinds=most_kinds),),
        (ReplicaKind("k", "a", 2, {"s": 10.0}),),
        (NodeOffer("a", "a", 4, 4.0),),
        FleetLimits(max_gpus=8),
        resilience=Resilience(replicas=1, nodes=1),
    )
    found = solve(problem)
    assert found.status == "optimal"
    assert found.objective_usd_per_hour == pytest.approx(8.0)
    assert found.replicas == {("k", 0): 4}


def test_a_spare_replica_counts_when_a_zone_is_lost() -> None:
    zones = tuple(NodeOffer(z, "a", 1, 1.0, zone=z) for z in ("z1", "z2", "z3"))
    problem = Problem(
        (Demand("s", "s", (40.0,), max_kinds=1),),
        (ReplicaKind("k", "a", 1, {"s": 10.0}),),
        zones,
        resilience=Resilience(zones=1),
    )
    for spare in (0, 1, 2):
        found = solve(replace(problem, resilience=Resilience(replicas=spare, zones=1)))
        assert found.objective_usd_per_hour == pytest.approx(6.0)


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
    assert any("3000 ways" in text for text in columns.restrictions)
    assert not build(replace(problem, kinds=kinds[:2])).restrictions
