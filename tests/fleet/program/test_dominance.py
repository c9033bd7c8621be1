"""What is dropped before the solver never changes the optimum."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import fleet_instances
import horizon_instances
import pytest

from planner.fleet.program.dominance import dominates, without_dominated
from planner.fleet.program.problem import Cap, Demand, FleetLimits, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import build, cheapest
from planner.fleet.program.solver import SolverLimits

MAKERS = [
    fleet_instances.mixes,
    fleet_instances.buckets,
    fleet_instances.packing,
    fleet_instances.periods,
    fleet_instances.redundancy,
    fleet_instances.several_losses,
    fleet_instances.places,
    horizon_instances.shared_day,
]


def crowded(make: Callable[[int], Problem], seed: int) -> Problem:
    """The instance with kinds and offers added that look much like those it has."""
    problem = make(seed)
    kinds = [
        replace(
            k,
            key=f"{k.key}+{i}",
            gpus=gpus if k.gpu_share == 1 else 1,
            capacity_qps={s: c * factor for s, c in k.capacity_qps.items()},
            tpot_s=k.tpot_s * (2 - i),
        )
        for i, (gpus, factor) in enumerate([(1, 0.7), (2, 1.5), (4, 3.0)])
        for k in problem.kinds
    ]
    offers = [
        replace(o, key=f"{o.key}+{size}", gpus_per_node=size, usd_per_hour=o.usd_per_hour * share)
        for o in problem.offers
        if not o.committed
        for size, share in ((1, 0.45), (2, 1.0))
    ]
    return replace(problem, kinds=(*problem.kinds, *kinds), offers=(*problem.offers, *offers))


def optimum(problem: Problem) -> float | None:
    """The cost of the cheapest fleet, proved; None where there is none."""
    outcome = cheapest(build(problem), SolverLimits(time_limit_s=60), time.monotonic() + 60)
    assert outcome.status in ("optimal", "infeasible")
    return outcome.objective


def compare(make: Callable[[int], Problem], seed: int) -> int:
    """How much was dropped, the optimum being the same."""
    whole = crowded(make, seed)
    smaller = without_dominated(whole)
    before, after = optimum(whole), optimum(smaller)
    assert (before is None) == (after is None)
    if before is not None:
        assert after == pytest.approx(before, abs=1e-6)
    return len(whole.kinds) + len(whole.offers) - len(smaller.kinds) - len(smaller.offers)


@pytest.mark.parametrize("make", MAKERS, ids=lambda m: m.__name__)
def test_the_optimum_stays(make: Callable[[int], Problem]) -> None:
    assert sum(compare(make, seed) for seed in range(8)) > 0


@pytest.mark.long
@pytest.mark.parametrize("make", MAKERS, ids=lambda m: m.__name__)
def test_the_optimum_stays_on_many(make: Callable[[int], Problem]) -> None:
    assert sum(compare(make, seed) for seed in range(8, 100)) > 0


def kind(key: str, gpus: int, qps: float, **more: Any) -> ReplicaKind:
    return ReplicaKind(key, more.pop("gpu", "a"), gpus, {"s": qps}, **more)


@pytest.mark.parametrize(
    ("better", "worse", "holds"),
    [
        (kind("b", 2, 5.0), kind("w", 2, 4.0), True),
        (kind("b", 2, 4.0), kind("w", 4, 8.0), True),  # two in the place of one
        (kind("b", 2, 4.0), kind("w", 4, 8.1), False),
        (kind("b", 4, 9.0), kind("w", 2, 4.0), False),  # more GPUs per replica
        (kind("b", 1, 9.0, gpu="z"), kind("w", 2, 4.0), False),  # another GPU type
        (kind("b", 2, 4.0, tpot_s=0.2), kind("w", 2, 4.0, tpot_s=0.1), False),
        (kind("b", 3, 4.0), kind("w", 4, 4.0, group_gpus=2), False),  # groups of 3 in slots of 2
        (kind("b", 1, 1.0, gpu_share=0.25), kind("w", 1, 2.0, gpu_share=0.5), True),
        (kind("b", 1, 3.0), kind("w", 1, 2.0, gpu_share=0.5), False),
    ],
)
def test_dominance_is_within_equal_hardware(
    better: ReplicaKind, worse: ReplicaKind, holds: bool
) -> None:
    assert dominates(better, worse) is holds


def test_capacity_per_dollar_is_not_dominance() -> None:
    problem = Problem(
        (Demand("s", "s", (3.0,)),),
        (kind("cheap", 1, 10.0), kind("dear", 1, 1.0, gpu="z")),
        (NodeOffer("a", "a", 1, 1.0), NodeOffer("z", "z", 1, 9.0)),
        FleetLimits(stock={"a": 0}),
    )
    assert len(without_dominated(problem).kinds) == 2
    assert optimum(problem) == pytest.approx(27.0)


def test_an_offer_in_a_quota_of_its_own_stays() -> None:
    offers = (NodeOffer("cheap", "a", 1, 1.0), NodeOffer("dear", "a", 1, 2.0))
    problem = Problem(
        (Demand("s", "s", (30.0,)),),
        (kind("k", 1, 10.0),),
        offers,
        FleetLimits(caps=(Cap("quota", 1, {"cheap": 1.0}),)),
    )
    assert without_dominated(problem).offers == offers
    assert without_dominated(replace(problem, limits=FleetLimits())).offers == offers[:1]


def test_small_nodes_do_not_replace_a_large_one_that_holds_more_groups() -> None:
    offers = (NodeOffer("four", "a", 4, 4.0), NodeOffer("twelve", "a", 12, 13.0))
    problem = Problem((Demand("s", "s", (40.0,)),), (kind("k", 3, 10.0),), offers)
    assert without_dominated(problem).offers == offers
    assert optimum(problem) == pytest.approx(13.0)


def test_small_nodes_do_not_replace_one_that_a_group_needs() -> None:
    offers = (NodeOffer("one", "a", 1, 1.0), NodeOffer("eight", "a", 8, 9.0))
    demand = (Demand("s", "s", (30.0,)),)
    assert len(without_dominated(Problem(demand, (kind("k", 8, 10.0),), offers)).offers) == 2
    assert len(without_dominated(Problem(demand, (kind("k", 1, 10.0),), offers)).offers) == 1


def test_a_share_of_a_gpu_stays_where_another_service_takes_the_rest() -> None:
    """Two replicas on 0.6 of a GPU take as many GPUs as two whole ones, and leave 0.4 of each."""
    problem = Problem(
        (Demand("s0", "s0", (4.0,), max_kinds=1), Demand("s1", "s1", (4.0,), max_kinds=1)),
        (
            ReplicaKind("quarter", "a", 1, {"s0": 3.0}, gpu_share=0.25),
            ReplicaKind("larger part", "a", 1, {"s1": 3.0}, gpu_share=0.6),
            ReplicaKind("whole", "a", 1, {"s1": 4.0}),
        ),
        (NodeOffer("o", "a", 1, 1.0),),
    )
    assert "larger part" in {k.key for k in without_dominated(problem).kinds}
    two_quarters = replace(
        problem, demands=(problem.demands[0], replace(problem.demands[1], rates_qps=(5.0,)))
    )
    assert optimum(two_quarters) == optimum(without_dominated(two_quarters)) == pytest.approx(2.0)
