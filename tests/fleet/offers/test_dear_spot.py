"""Spot pools that cost no less than steady nodes go, and the optimum stays."""

import itertools
import math
import random
from dataclasses import replace

import pytest

from planner.fleet.offers.dear_spot import without_dear_spot
from planner.fleet.program import dominance
from planner.fleet.program.problem import (
    Cap,
    Demand,
    FleetLimits,
    NodeOffer,
    PoolBeside,
    Problem,
    ReplicaKind,
    Resilience,
)
from planner.fleet.program.program import solve

STEADY = NodeOffer("steady", "a", 1, 6.9)
DEAR = NodeOffer("dear", "a", 1, 6.4, zone="z1", pool="a", spot=True, reserve_share=0.1)
CHEAP = NodeOffer("cheap", "a", 1, 4.0, zone="z2", pool="a", spot=True, reserve_share=0.1)
KIND = ReplicaKind("k", "a", 1, {"s": 2.0})
PROBLEM = Problem(
    (Demand("s", "s", (9.0,)),),
    (KIND,),
    (STEADY, DEAR, CHEAP),
    resilience=Resilience(spot_pools=1),
)


def kept(problem):
    return [o.key for o in without_dear_spot(problem)]


def test_a_pool_is_left_out_whose_working_gpus_cost_more_than_steady_ones():
    assert kept(PROBLEM) == ["steady", "cheap"]


@pytest.mark.parametrize(
    "changed",
    [
        {"offers": (replace(STEADY, usd_per_hour=7.2), DEAR, CHEAP)},
        {"offers": (replace(STEADY, gpus_per_node=2, usd_per_hour=13.8), DEAR, CHEAP)},
        {"offers": (replace(STEADY, max_nodes=3), DEAR, CHEAP)},
        {"offers": (replace(STEADY, committed=True), DEAR, CHEAP)},
        {"offers": (replace(STEADY, power_kw=1.0), replace(DEAR, power_kw=0.8), CHEAP)},
        {"offers": (STEADY, replace(DEAR, existing=2), CHEAP)},
        {"offers": (STEADY, DEAR, replace(CHEAP, zone="z1"))},  # one pool, not all of it dear
        {"kinds": (replace(KIND, gpus=2),)},
        {"kinds": (replace(KIND, beside=PoolBeside("b", (1,))),)},
        {"resilience": Resilience(spot_pools=1, nodes=1)},
        {"resilience": Resilience(spot_pools=1, zones=1)},
        {"limits": FleetLimits(max_vendors=1)},
        {"limits": FleetLimits(caps=(Cap("carbon", 9.0, {"steady": 2.0, "dear": 1.0}),))},
        {
            "period_hours": (1.0, 1.0),
            "demands": (Demand("s", "s", (9.0, 5.0)),),
            "offers": (replace(STEADY, periods=(0,)), DEAR, CHEAP),
        },
    ],
)
def test_a_pool_stays_where_steady_nodes_could_not_do_the_same(changed):
    problem = replace(PROBLEM, **changed)
    assert "dear" in kept(problem)


def drawn(seed):
    """One service on GPUs of three spot pools and steady ones, prices near each other."""
    rng = random.Random(f"dear spot {seed}")
    spot = tuple(
        NodeOffer(
            f"spot-{zone}",
            "a",
            size,
            size * rng.randint(14, 24) / 4,
            zone=zone,
            pool="a",
            spot=True,
            reserve_share=reserve,
        )
        for reserve in [rng.choice([0.0, 0.1, 0.2])]
        for zone in ("z1", "z2", "z3")
        for size in [rng.choice([1, 1, 2, 4])]
    )
    rates = tuple(float(rng.randint(1, 8)) for _ in range(rng.randint(1, 2)))
    limits = FleetLimits(
        max_spot_share=rng.choice([None, 0.5, 0.7]), max_gpus=rng.choice([None, 8])
    )
    return Problem(
        (Demand("s", "s", rates),),
        (ReplicaKind("k", "a", 1, {"s": 2.0}),),
        (replace(STEADY, usd_per_hour=rng.randint(19, 26) / 4), *spot),
        limits,
        period_hours=(2.0, 1.0)[: len(rates)],
        resilience=Resilience(spot_pools=rng.choice([0, 1, 1, 2])),
    )


def cheapest_usd_per_hour(problem):
    """Every number of nodes in every pool, period by period; None where no fleet holds."""
    hours, total = sum(problem.period_hours), 0.0
    for rate, h in zip(problem.demands[0].rates_qps, problem.period_hours, strict=True):
        need = math.ceil(rate / 2.0)
        best = min(
            (
                sum(n * o.usd_per_hour for n, o in zip(nodes, problem.offers, strict=True))
                for nodes in itertools.product(range(7), repeat=len(problem.offers))
                if holds(problem, nodes, need)
            ),
            default=None,
        )
        if best is None:
            return None
        total += h * best
    return total / hours


def holds(problem, nodes, need):
    offers, limits = problem.offers, problem.limits
    gpus = [n * o.gpus_per_node for n, o in zip(nodes, offers, strict=True)]
    if limits.max_gpus is not None and sum(gpus) > limits.max_gpus:
        return False
    lost = problem.resilience.spot_pools
    rooms = [
        math.floor((1 - o.reserve_share) * g + 1e-9) for g, o in zip(gpus, offers, strict=True)
    ]
    stay = min(rooms[0], need)
    pools = rooms[1:]
    if limits.max_spot_share is not None:
        share = limits.max_spot_share
        pools = levelled(pools, math.floor(share * stay / (1 - share) + 1e-9))
    return stay + sum(sorted(pools, reverse=True)[lost:]) >= need


def levelled(rooms, most):
    """At most so many in all, as even as the rooms let them be, so that the fewest are lost with one."""
    held = [0] * len(rooms)
    for _ in range(min(most, sum(rooms))):
        free = [i for i, room in enumerate(rooms) if held[i] < room]
        held[min(free, key=lambda i: held[i])] += 1
    return held


@pytest.mark.parametrize("seed", range(40))
def test_brute_force_agrees(seed, monkeypatch):
    problem = drawn(seed)
    expected = cheapest_usd_per_hour(problem)
    found = solve(problem)
    monkeypatch.setattr(dominance, "without_dear_spot", lambda p: p.offers)
    whole = solve(problem)
    assert found.status == whole.status
    if expected is None:
        assert found.status == "infeasible"
    else:
        assert found.objective_usd_per_hour == pytest.approx(expected, abs=1e-6)
        assert whole.objective_usd_per_hour == pytest.approx(expected, abs=1e-6)


def test_the_drawn_problems_try_the_rule():
    dropped = [len(p.offers) - len(without_dear_spot(p)) for p in map(drawn, range(40))]
    assert sum(n > 0 for n in dropped) >= 10
    assert sum(n == 0 for n in dropped) >= 10
