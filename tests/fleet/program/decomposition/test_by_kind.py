"""One program per kind finds what the whole program finds."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import fleet_instances
import pytest

from planner.fleet.program.decomposition.by_kind import (
    _hopeful,
    _Part,
    _relaxed_bound,
    branches,
    cheapest_branch,
    least_cost,
)
from planner.fleet.program.dominance import without_dominated
from planner.fleet.program.objective import cost
from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import build, solve
from planner.fleet.program.solver import SolverLimits, minimise
from planner.fleet.program.variables import Columns


def one_service(seed: int) -> Problem:
    """A periods instance with its first service alone, on one kind of several."""
    problem = fleet_instances.periods(seed)
    first = replace(problem.demands[0], max_kinds=1)
    kinds = tuple(
        ReplicaKind(f"{gpu}{gpus}", gpu, gpus, {first.key: gpus * qps})
        for gpu, gpus, qps in (("a", 1, 2.0), ("a", 2, 2.3), ("b", 1, 1.7), ("b", 2, 2.1))
    )
    offers = (*problem.offers, NodeOffer("b more", "b", 2, 7.0))
    return replace(problem, demands=(first,), kinds=kinds, offers=offers)


@pytest.mark.parametrize("seed", range(30))
def test_branches_agree_with_the_whole_program(seed: int) -> None:
    problem = one_service(seed)
    assert len(branches(problem)) == 4
    columns = build(problem)
    whole = minimise(columns.model, cost(columns), SolverLimits())
    found = solve(problem)
    assert found.status == whole.status == "optimal"
    assert found.objective_usd_per_hour == pytest.approx(whole.objective, abs=1e-6)
    assert found.bound_usd_per_hour == pytest.approx(whole.objective, abs=1e-6)


@pytest.mark.parametrize("seed", range(30))
def test_branches_come_in_the_order_of_their_relaxations(seed: int) -> None:
    parts = branches(one_service(seed))
    effort, deadline = SolverLimits(), time.monotonic() + 60
    bounds = [_relaxed_bound(build(without_dominated(p)), effort) for p in parts]
    known = [b for b in bounds if b is not None]
    found = _hopeful([_Part(p, build) for p in parts], effort, deadline, lambda: math.inf)
    assert [bound for bound, _ in found] == sorted(known)
    for part, bound in zip(parts, bounds, strict=True):
        assert bound is None or least_cost(part) <= bound


def test_dear_kinds_are_never_written_as_programs() -> None:
    problem = Problem(
        (Demand("s", "s", (4.0, 5.0), max_kinds=1),),
        (ReplicaKind("k", "a", 1, {"s": 1.0}), ReplicaKind("l", "b", 1, {"s": 1.0})),
        (NodeOffer("a", "a", 1, 1.0), NodeOffer("b", "b", 1, 9.0)),
        period_hours=(1.0, 1.0),
    )
    written: list[str] = []

    def counted(part: Problem) -> Columns:
        written.extend(k.key for k in part.kinds)
        return build(part)

    _, found = cheapest_branch(branches(problem), counted, SolverLimits(), time.monotonic() + 60)
    assert found.status == "optimal"
    assert found.objective == pytest.approx(4.5)
    assert written == ["k"]


def test_two_services_or_a_mix_are_not_branched() -> None:
    problem = fleet_instances.periods(1)
    mixed = tuple(replace(d, max_kinds=None) for d in problem.demands)
    assert len(branches(replace(problem, demands=mixed))) == 1


def test_no_branch_holds_is_infeasible() -> None:
    problem = Problem(
        (Demand("s", "s", (4.0, 5.0), max_kinds=1),),
        (ReplicaKind("k", "a", 1, {"s": 1.0}), ReplicaKind("l", "b", 1, {"s": 1.0})),
        (NodeOffer("a", "a", 1, 1.0, max_nodes=2), NodeOffer("b", "b", 1, 1.0, max_nodes=4)),
        period_hours=(1.0, 1.0),
    )
    assert solve(problem).status == "infeasible"


def test_a_tie_is_to_the_lower_tpot() -> None:
    problem = Problem(
        (Demand("s", "s", (4.0, 5.0), max_kinds=1),),
        (
            ReplicaKind("slow", "a", 1, {"s": 1.0}, tpot_s=0.05),
            ReplicaKind("fast", "b", 1, {"s": 1.0}, tpot_s=0.01),
        ),
        (NodeOffer("a", "a", 1, 1.0), NodeOffer("b", "b", 1, 1.0)),
        period_hours=(1.0, 1.0),
    )
    assert {k for k, _ in solve(problem).replicas} == {"fast"}
