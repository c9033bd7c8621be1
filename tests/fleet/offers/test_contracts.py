"""At most so many vendors, and quotes that are sold in no smaller or no larger number."""

import itertools
import math

import pytest

from planner.fleet.program.problem import Demand, FleetLimits, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import solve


def offer(key, vendor, gpu, usd, size=1, **more):
    return NodeOffer(key, gpu, size, usd, vendor=vendor, **more)


def problem(offers, rate, *, kinds=2, **limits):
    gpus = sorted({o.gpu for o in offers})
    return Problem(
        demands=(Demand("a", "a", (rate,), max_kinds=kinds),),
        kinds=tuple(ReplicaKind(g, g, 1, {"a": 1.0}) for g in gpus),
        offers=tuple(offers),
        limits=FleetLimits(**limits),
    )


def cheapest(offers, rate, most):
    """By brute force: whole nodes of every offer, one replica of 1 request/s on each GPU."""
    ranges = []
    for o in offers:
        top = min(math.ceil(rate / o.gpus_per_node) + o.min_nodes, o.max_nodes or 10**6)
        ranges.append([n for n in range(top + 1) if n == 0 or n >= o.min_nodes])
    costs = []
    for counts in itertools.product(*ranges):
        used = [(o, n) for o, n in zip(offers, counts, strict=True) if n]
        enough = sum(o.gpus_per_node * n for o, n in used) >= rate
        if enough and (most is None or len({o.vendor for o, _ in used}) <= most):
            costs.append(sum(o.usd_per_hour * n for o, n in used))
    return min(costs, default=None)


OFFERS = (
    offer("acme/x", "acme", "x", 1.0, max_nodes=3),
    offer("bravo/x", "bravo", "x", 1.2, max_nodes=2),
    offer("bravo/y", "bravo", "y", 2.0),
    offer("coral/y", "coral", "y", 1.3, size=2, min_nodes=4),
)


@pytest.mark.parametrize("solver", ["highs", "cbc"])
@pytest.mark.parametrize("most", [None, 1, 2])
@pytest.mark.parametrize("rate", [1, 3, 4, 5, 7, 9])
def test_the_cheapest_fleet_of_few_vendors_is_that_of_brute_force(rate, most, solver):
    found = solve(problem(OFFERS, float(rate), max_vendors=most), solver=solver)
    assert found.status == "optimal"
    assert found.objective_usd_per_hour == pytest.approx(cheapest(OFFERS, rate, most))


def test_a_fleet_that_needs_two_vendors_is_infeasible_with_one():
    limited = tuple(o for o in OFFERS if o.gpu == "x")
    assert solve(problem(limited, 5.0, max_vendors=1)).status == "infeasible"
    assert solve(problem(limited, 5.0, max_vendors=2)).objective_usd_per_hour == pytest.approx(5.4)


def test_what_is_sold_in_fours_is_not_bought_in_ones():
    sold = (offer("a/x", "a", "x", 1.0, min_nodes=4), offer("b/x", "b", "x", 1.5))
    for rate, nodes in ((2, {"b/x": 2}), (3, {"a/x": 4}), (6, {"a/x": 6})):
        found = solve(problem(sold, float(rate)))
        billed = {key: n for (key, _), n in found.billed.items() if n}
        if rate == 3:  # three at 1.5 cost more than four at 1
            assert found.objective_usd_per_hour == pytest.approx(4.0)
        assert billed == nodes


def test_a_vendor_is_kept_although_another_is_cheaper():
    """With one vendor allowed, what only one of them has decides; no offer of it may be dropped."""
    offers = (
        offer("a/x", "a", "x", 1.0, max_nodes=2),
        offer("b/x", "b", "x", 1.1),
        offer("b/y", "b", "y", 1.4),
        offer("a/y", "a", "y", 1.3),
    )
    for most in (1, 2):
        found = solve(problem(offers, 5.0, max_vendors=most))
        assert found.objective_usd_per_hour == pytest.approx(cheapest(offers, 5, most))


def test_existing_nodes_are_no_vendor():
    offers = (
        NodeOffer("own", "x", 1, 0.1, max_nodes=2, existing=2),
        offer("a/x", "a", "x", 1.0),
    )
    found = solve(problem(offers, 4.0, max_vendors=1))
    assert found.objective_usd_per_hour == pytest.approx(2.2)
