"""Units whose pools are on two GPU types: in one place, placed on both, lost with either."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.fleet.program.problem import (
    Demand,
    NodeOffer,
    PoolBeside,
    Problem,
    ReplicaKind,
    Resilience,
)
from planner.fleet.program.program import solve
from planner.verification.bound import fluid_bound_usd_per_hour

UNIT = ReplicaKind(
    "unit", "h200", 2, {"s": 5.0}, group_sizes=(2,), beside=PoolBeside("h100", (2, 2, 2))
)


def offer(gpu: str, place: str, price: float, size: int = 8, **more: object) -> NodeOffer:
    key = f"{place} {gpu} {size}"
    return NodeOffer(key, gpu, size, price, place=place, zone=place, **more)


def problem(*offers: NodeOffer, rate: float = 10.0, kinds=(UNIT,), **more: object) -> Problem:
    return Problem((Demand("s", "s", (rate,), max_kinds=1),), kinds, offers, **more)


def test_both_pools_are_rented_in_one_place() -> None:
    apart = (offer("h100", "a", 8.0), offer("h200", "b", 8.0))
    assert solve(problem(*apart)).status == "infeasible"
    found = solve(problem(*apart, offer("h200", "a", 50.0), offer("h100", "b", 30.0)))
    # two units need 4 h200 and 12 h100: at b 8 + 2 x 30, at a 50 + 2 x 8
    assert found.objective_usd_per_hour == pytest.approx(66.0)
    assert {key for key, _ in found.billed} == {"a h100 8", "a h200 8"}
    assert found.replicas == {("unit", 0): 2}


def test_groups_of_the_other_pool_need_room_too() -> None:
    small = solve(problem(offer("h200", "a", 8.0), offer("h100", "a", 1.0, size=1)))
    assert small.status == "infeasible"
    pairs = solve(problem(offer("h200", "a", 8.0), offer("h100", "a", 1.0, size=2)))
    assert pairs.billed["a h100 2", 0] == 6


def test_a_cheaper_kind_of_one_type_is_chosen_and_a_dearer_one_is_not() -> None:
    both = ReplicaKind("both", "h200", 4, {"s": 5.0}, group_sizes=(4,))
    offers = (offer("h200", "a", 40.0), offer("h100", "a", 4.0))
    assert solve(problem(*offers, kinds=(UNIT, both))).replicas == {("both", 0): 2}
    wide = replace(both, gpus=8, group_sizes=(8,))
    assert solve(problem(*offers, kinds=(UNIT, wide))).replicas == {("unit", 0): 2}


def test_a_lost_node_of_either_type_takes_its_units() -> None:
    offers = (offer("h200", "a", 8.0), offer("h100", "a", 8.0))
    safe = solve(problem(*offers, resilience=Resilience(nodes=1)))
    # two units must be left: one in each of three nodes of h100, and a second node of h200
    assert safe.replicas["unit", 0] >= 3
    assert safe.billed["a h100 8", 0] >= 3
    assert safe.billed["a h200 8", 0] >= 2


def test_a_lost_zone_takes_both_pools_once() -> None:
    offers = [o for place in "abc" for o in (offer("h200", place, 8.0), offer("h100", place, 8.0))]
    safe = solve(problem(*offers, resilience=Resilience(zones=1)))
    assert safe.objective_usd_per_hour == pytest.approx(48.0)  # one unit in each of three
    assert safe.replicas["unit", 0] == 3


def test_a_lost_spot_pool_of_the_other_type_takes_the_units() -> None:
    offers = (
        offer("h200", "a", 8.0),
        offer("h100", "a", 4.0, spot=True, pool="x"),
        replace(offer("h100", "a", 4.0, spot=True, pool="y"), key="a h100 y"),
        replace(offer("h100", "a", 80.0), key="a h100 sure"),
    )
    sure = solve(problem(*offers, rate=5.0, resilience=Resilience(spot_pools=1)))
    assert sure.billed["a h100 8", 0] == sure.billed["a h100 y", 0] == 1
    assert sure.replicas["unit", 0] == 2


def test_the_fluid_bound_counts_both_types() -> None:
    stated = problem(offer("h200", "a", 16.0), offer("h100", "a", 8.0))
    assert fluid_bound_usd_per_hour(stated) == pytest.approx(2 * (2 * 2.0 + 6 * 1.0))
    found = solve(stated)
    assert found.objective_usd_per_hour is not None
    assert found.objective_usd_per_hour >= fluid_bound_usd_per_hour(stated)
