import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet.alternatives.k_cheapest import best_structures
from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import solve

GPUS = ("a10g", "h100", "l40s", "mi300x")


@st.composite
def problems(draw):
    gpus = draw(st.lists(st.sampled_from(GPUS), min_size=2, max_size=4, unique=True))
    services = [f"s{i}" for i in range(draw(st.integers(1, 2)))]
    rates = {s: draw(st.integers(1, 12)) for s in services}
    kinds = tuple(
        ReplicaKind(f"{gpu}-{s}-{n}", gpu, n, {s: draw(st.integers(1, 6)) * n}, tpot_s=0.01)
        for gpu in gpus
        for s in services
        for n in draw(st.sampled_from([(1,), (1, 2)]))
    )
    offers = tuple(
        NodeOffer(f"{gpu}-node", gpu, size, draw(st.integers(1, 9)) * size)
        for gpu in gpus
        for size in [draw(st.sampled_from([2, 4]))]
    )
    demands = tuple(Demand(s, s, (float(rates[s]),), max_kinds=1) for s in services)
    return Problem(demands, kinds, offers)


def by_enumeration(problem):
    """The cheapest fleet for every set of GPU types all of which it uses."""
    costs = {}
    gpus = sorted({k.gpu for k in problem.kinds})
    services = [d.service for d in problem.demands]
    for choice in itertools.product(
        *([k for k in problem.kinds if s in k.capacity_qps] for s in services)
    ):
        used = dict.fromkeys(gpus, 0)
        groups = {gpu: [] for gpu in gpus}
        for kind, demand in zip(choice, problem.demands, strict=True):
            replicas = -(-demand.rates_qps[0] // kind.capacity_qps[demand.key])
            used[kind.gpu] += int(replicas) * kind.gpus
            groups[kind.gpu].append(kind.gpus)
        cost = 0
        for offer in problem.offers:
            cost += -(-used[offer.gpu] // offer.gpus_per_node) * offer.usd_per_hour
        structure = frozenset(k.gpu for k in choice)
        costs[structure] = min(cost, costs.get(structure, cost))
    return costs


@given(problem=problems(), count=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_alternatives_are_the_cheapest_that_lack_something_of_every_cheaper_one(problem, count):
    found = best_structures(problem, solve, count=count, tolerance=10.0)
    left = by_enumeration(problem)
    for fleet in found:
        cost = fleet.solution.objective_usd_per_hour
        assert cost == pytest.approx(min(left.values()))
        assert left[fleet.structure] == pytest.approx(cost)
        left = {s: c for s, c in left.items() if not fleet.structure <= s}
    cheapest = found[0].solution.objective_usd_per_hour
    within = {s: c for s, c in left.items() if c <= 11 * cheapest}
    assert len(found) == count or not within


@given(problem=problems())
@settings(max_examples=20, deadline=None)
def test_nothing_listed_costs_more_than_the_tolerance(problem):
    found = best_structures(problem, solve, count=5, tolerance=0.25)
    assert all(f.extra_share <= 0.25 for f in found)
    assert [f.extra_share for f in found] == sorted(f.extra_share for f in found)


def test_an_infeasible_problem_has_no_alternative():
    problem = Problem(
        demands=(Demand("chat", "chat", (9.0,)),),
        kinds=(ReplicaKind("tp1", "h100", 1, {"chat": 2.0}),),
        offers=(NodeOffer("near", "h100", 1, 3.0, max_nodes=2),),
    )
    assert best_structures(problem, solve, count=3, tolerance=1.0) == ()
    known = solve(dataclasses.replace(problem, offers=(NodeOffer("near", "h100", 1, 3.0),)))
    assert known.objective_usd_per_hour == 15.0


def test_a_fleet_that_serves_less_is_no_alternative():
    problem = Problem(
        demands=(Demand("chat", "chat", (9.0,), max_kinds=1),),
        kinds=(
            ReplicaKind("big", "h100", 1, {"chat": 5.0}),
            ReplicaKind("small", "a10g", 1, {"chat": 1.0}),
            ReplicaKind("middle", "l40s", 1, {"chat": 3.0}),
        ),
        offers=(
            NodeOffer("h", "h100", 1, 3.0),
            NodeOffer("a", "a10g", 1, 0.5, max_nodes=4),
            NodeOffer("l", "l40s", 1, 4.0),
        ),
        serve_all=False,
    )
    found = best_structures(problem, solve, count=5, tolerance=5.0)
    assert [sorted(f.structure) for f in found] == [["h100"], ["l40s"]]
