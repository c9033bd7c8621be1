"""Kinds that are dropped as too dear are in no fleet below the cost, whatever else is asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import fleet_instances
import pytest

from planner.fleet.program.demand_index import Services
from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import solve
from planner.fleet.program.too_dear import least_usd_per_hour, no_dearer, without_too_dear

PROBLEM = Problem(
    (Demand("s", "s", (6.0,), max_kinds=1), Demand("t", "t", (2.0,), max_kinds=1)),
    (
        ReplicaKind("cheap", "a", 1, {"s": 2.0}),
        ReplicaKind("dear", "b", 2, {"s": 2.0}),
        ReplicaKind("useless", "b", 2, {"s": 0.0}),
        ReplicaKind("other", "c", 1, {"t": 1.0}),
    ),
    (
        NodeOffer("a", "a", 1, 1.0),
        NodeOffer("b", "b", 4, 8.0),
        NodeOffer("c", "c", 1, 0.5),
        NodeOffer("c cheaper", "c", 2, 0.8),
    ),
)


def test_a_service_costs_at_least_what_its_gpus_do() -> None:
    services = Services.of(PROBLEM)
    found = {k.key: cost for k, cost in least_usd_per_hour(PROBLEM, services, "s")}
    assert found == {"cheap": 3.0, "dear": 12.0}
    (other,) = (cost for _, cost in least_usd_per_hour(PROBLEM, services, "t"))
    assert other == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("below", "kept"),
    [
        (20.0, {"cheap", "dear", "useless", "other"}),
        (12.0, {"cheap", "useless", "other"}),  # 12 and at least 0.8 for the other service
        (3.0, {"useless"}),  # no fleet at all is as cheap
    ],
)
def test_what_others_cost_at_least_counts(below: float, kept: set[str]) -> None:
    assert {k.key for k in without_too_dear(PROBLEM, below).kinds} == kept


def test_offers_of_gpus_that_no_kind_needs_go_too() -> None:
    assert {o.gpu for o in without_too_dear(PROBLEM, 12.0).offers} == {"a", "b", "c"}
    few = replace(PROBLEM, kinds=tuple(k for k in PROBLEM.kinds if k.key != "useless"))
    assert {o.gpu for o in without_too_dear(few, 12.0).offers} == {"a", "c"}


@pytest.mark.parametrize(
    ("below", "kept"),
    [
        (6.9, {"cheap", "dear", "large"}),
        (6.7, {"cheap", "dear"}),  # a large one costs 6.8 and carries what costs 3 on cheap ones
        (5.9, {"cheap"}),  # a dear one costs 4 and carries what costs 1, beside 3 for all
        (2.9, set()),
    ],
)
def test_where_kinds_are_mixed_what_one_replica_wastes_counts(below: float, kept: set[str]) -> None:
    mixed = replace(
        PROBLEM,
        demands=(Demand("s", "s", (6.0,)),),
        kinds=(*PROBLEM.kinds[:2], ReplicaKind("large", "c", 17, {"s": 6.0})),
    )
    assert {k.key for k in without_too_dear(mixed, below).kinds} == kept
    some_unserved = replace(mixed, serve_all=False)
    assert len(without_too_dear(some_unserved, below).kinds) == 3


KINDS_OF_PROBLEM = [
    fleet_instances.mixes,
    fleet_instances.packing,
    fleet_instances.buckets,
    fleet_instances.periods,
]


@pytest.mark.parametrize("make", KINDS_OF_PROBLEM)
@pytest.mark.parametrize("seed", range(25))
def test_a_fleet_of_the_cost_that_is_known_is_found_again(
    make: Callable[[int], Problem], seed: int
) -> None:
    problem = make(seed)
    cost = solve(problem, cost_alone=True).objective_usd_per_hour
    if cost is not None:
        again = solve(no_dearer(problem, cost), cost_alone=True)
        assert again.objective_usd_per_hour == pytest.approx(cost, abs=1e-9)


@pytest.mark.parametrize(
    "make",
    [
        *KINDS_OF_PROBLEM,
        fleet_instances.redundancy,
        fleet_instances.wide_and_small,
        fleet_instances.several_losses,
        fleet_instances.places,
    ],
)
@pytest.mark.parametrize("seed", range(6))
def test_offers_of_other_gpu_types_are_of_no_use_to_one_alone(
    make: Callable[[int], Problem], seed: int
) -> None:
    problem = make(seed)
    for gpu in sorted({k.gpu for k in problem.kinds}):
        kinds = tuple(k for k in problem.kinds if k.gpu == gpu)
        alone = problem.of_kinds(kinds)
        assert {o.gpu for o in alone.offers if not o.existing} <= {
            t for k in kinds for t in k.types
        }
        every = solve(replace(problem, kinds=kinds), cost_alone=True)
        few = solve(alone, cost_alone=True)
        assert few.status == every.status
        assert few.objective_usd_per_hour == pytest.approx(every.objective_usd_per_hour, abs=1e-9)


@pytest.mark.parametrize("make", KINDS_OF_PROBLEM)
@pytest.mark.parametrize("seed", range(25))
def test_fleets_that_cost_less_stay(make: Callable[[int], Problem], seed: int) -> None:
    problem = make(seed)
    found = solve(problem, cost_alone=True)
    if found.objective_usd_per_hour is None:
        return
    for above in (1.0 + 1e-9, 1.2):
        few = without_too_dear(problem, above * found.objective_usd_per_hour)
        again = solve(few, cost_alone=True)
        assert again.objective_usd_per_hour == pytest.approx(found.objective_usd_per_hour, abs=1e-9)
    fewer = without_too_dear(problem, 0.9 * found.objective_usd_per_hour)
    none = solve(fewer, cost_alone=True).objective_usd_per_hour
    assert (none or math.inf) >= found.objective_usd_per_hour - 1e-9
