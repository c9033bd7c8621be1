"""How much of what serves may stand on spot nodes: against brute force, and by examples."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from fleet_oracle import cheapest

from planner.fleet.program.problem import (
    Demand,
    FleetLimits,
    NodeOffer,
    Problem,
    ReplicaKind,
    Resilience,
)
from planner.fleet.program.program import solve


def fast(**changes: object) -> ReplicaKind:
    return replace(ReplicaKind("fast", "a", 1, {"s": 10.0}), **changes)


A_SPOT = NodeOffer("a spot", "a", 1, 1.0, spot=True, pool="a")
A_DAY = NodeOffer("a", "a", 1, 10.0)
B_DAY = NodeOffer("b", "b", 1, 0.1)


def half(demands: tuple[Demand, ...], kinds: tuple[ReplicaKind, ...], **changes: object) -> Problem:
    plain = Problem(demands, kinds, (A_SPOT, A_DAY, B_DAY), FleetLimits(max_spot_share=0.5))
    return replace(plain, **changes)


def service(rate: float, most: int | None = 1, key: str = "s") -> Demand:
    return Demand(key, key, (rate,), max_kinds=most)


def test_idle_gpus_of_another_type_lower_no_share() -> None:
    found = solve(half((service(30.0),), (fast(), ReplicaKind("slow", "b", 1, {"s": 0.1}))))
    assert found.billed == {("a spot", 0): 1, ("a", 0): 2}
    assert found.objective_usd_per_hour == pytest.approx(21.0)


@pytest.mark.parametrize("most", [1, None])
def test_replicas_that_nothing_needs_lower_no_share(most: int | None) -> None:
    """Three of a cheap type would make half of six, though three of the fast one carry all."""
    slow = ReplicaKind("slow", "b", 1, {"s": 0.001})
    found = solve(half((service(29.9, most),), (fast(), slow)))
    assert found.objective_usd_per_hour == pytest.approx(21.0)


def test_what_serves_beside_counts() -> None:
    """Two spot GPUs carry 20 of 30, two of the other type the rest: half of four."""
    other = ReplicaKind("other", "b", 1, {"s": 5.0})
    offers = (A_SPOT, A_DAY, replace(B_DAY, usd_per_hour=0.8))
    found = solve(half((service(30.0, None),), (fast(), other), offers=offers))
    assert found.billed == {("a spot", 0): 2, ("b", 0): 2}


def test_the_other_services_gpus_count_as_far_as_they_are_needed() -> None:
    other = ReplicaKind("other", "b", 1, {"r": 5.0})
    demands = (service(30.0), service(10.0, key="r"))
    found = solve(half(demands, (fast(), other)))
    assert found.replicas == {("fast", 0): 3, ("other", 0): 2}
    assert found.billed == {("a spot", 0): 2, ("a", 0): 1, ("b", 0): 2}


def test_idle_gpus_of_the_node_do_not_count() -> None:
    """Of eight on demand two run something, so two of spot may."""
    offers = (replace(A_SPOT, gpus_per_node=4), replace(A_DAY, gpus_per_node=8))
    found = solve(half((service(40.0),), (fast(),), offers=offers))
    assert found.billed == {("a", 0): 1}
    dear = (replace(A_SPOT, gpus_per_node=4), replace(A_DAY, gpus_per_node=2))
    found = solve(half((service(40.0),), (fast(),), offers=dear))
    assert found.billed == {("a spot", 0): 1, ("a", 0): 1}


def test_a_part_of_a_gpu_counts_as_that_part() -> None:
    """Half a GPU each: of three, one may stand on spot, and two share the GPU that stays."""
    parts = fast(gpu_share=0.5)
    found = solve(half((service(30.0),), (parts,)))
    assert found.billed == {("a spot", 0): 1, ("a", 0): 1}


def test_what_a_lost_pool_needs_besides_counts_too() -> None:
    """Four needed, one pool lost: four that stay carry all, and spot beside them saves nothing."""
    lost = Resilience(spot_pools=1)
    found = solve(half((service(40.0),), (fast(),), resilience=lost))
    assert found.billed == {("a", 0): 4}
    pools = tuple(replace(A_SPOT, key=f"a spot {i}", pool=f"a{i}") for i in range(4))
    spread = half((service(40.0),), (fast(),), offers=(A_DAY, *pools), resilience=lost)
    found = solve(spread)
    on_spot = sum(n for (o, _), n in found.billed.items() if o != "a")
    assert (on_spot, found.billed["a", 0]) == (2, 3)
    assert found.objective_usd_per_hour == pytest.approx(32.0)


def drawn(seed: int) -> Problem:
    """One or two services on nodes of two types, each on spot and on demand, some prices far apart."""
    rng = random.Random(f"spot share {seed}")
    services = rng.randint(1, 2)
    most = rng.choice([1, 1, 2, None])
    demands = tuple(service(rng.randint(2, 12) / 2, most, f"s{i}") for i in range(services))
    kinds = tuple(
        ReplicaKind(
            f"k{j}", "ab"[j % 2], rng.choice([1, 2]), {f"s{j % services}": rng.randint(3, 12) / 2}
        )
        for j in range(rng.randint(services, 2))
    )
    if services == 1 and len(kinds) == 2:
        kinds = tuple(replace(k, capacity_qps={"s0": rng.randint(3, 12) / 2}) for k in kinds)
    offers = tuple(
        NodeOffer(f"{gpu} {term}", gpu, size, size * price, spot=term == "spot")
        for gpu in "ab"
        for size in [rng.choice([1, 2, 2])]
        for dear in [rng.choice([0.25, 4.0, 8.0])]
        for term, price in (("spot", dear * rng.choice([0.2, 0.6])), ("on-demand", dear))
    )
    limits = FleetLimits(max_spot_share=rng.choice([0.0, 0.3, 0.5, 0.7]))
    return Problem(demands, kinds, offers, limits)


@pytest.mark.parametrize("seed", range(60))
def test_brute_force_agrees(seed: int) -> None:
    problem = drawn(seed)
    expected = cheapest(problem)
    found = solve(problem)
    if expected is None:
        assert found.status == "infeasible"
    else:
        assert found.status == "optimal"
        assert found.objective_usd_per_hour == pytest.approx(expected, abs=1e-6)
