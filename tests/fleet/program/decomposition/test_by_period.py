"""Periods that share nothing but their kind, each by itself: the same fleets, proved sooner."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from planner.fleet.program import program
from planner.fleet.program.decomposition.by_period import period_by_period, separable
from planner.fleet.program.problem import (
    Demand,
    FleetLimits,
    NodeOffer,
    Problem,
    ReplicaKind,
    Resilience,
    Solution,
)
from planner.fleet.program.program import solve


def pools(seed: int) -> Problem:
    """Two kinds on two GPU types, spot pools of which one may go, on demand beside them, four hours."""
    dice = random.Random(seed)
    offers = []
    for gpu, place in itertools.product("ab", range(3)):
        price = dice.uniform(1, 4) * (1.6 if gpu == "b" else 1)
        name = f"{gpu}{place}"
        size = dice.choice((1, 2, 4))
        offers += [
            NodeOffer(f"{name} spot", gpu, size, size * price, pool=name, place=name, spot=True),
            NodeOffer(f"{name}", gpu, 1, 2 * price, place=name),
        ]
    rates = tuple(float(dice.choice((2, 5, 5, 9, 14))) for _ in range(4))
    return Problem(
        demands=(Demand("chat", "chat", rates, max_kinds=1),),
        kinds=(
            ReplicaKind("on a", "a", 1, {"chat": 2.0}, tpot_s=0.02),
            ReplicaKind("on b", "b", 2, {"chat": 6.5}, tpot_s=0.01),
        ),
        offers=tuple(offers),
        limits=FleetLimits(max_spot_share=0.7),
        period_hours=(6.0, 6.0, 4.0, 8.0),
        resilience=Resilience(spot_pools=1),
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_cost_is_that_of_one_program_for_all_hours(seed, monkeypatch):
    problem = pools(seed)
    assert separable(problem)
    apart = solve(problem, time_limit_s=60)
    monkeypatch.setattr(program, "separable", lambda _: False)
    whole = solve(problem, time_limit_s=60)
    assert apart.status == whole.status == "optimal"
    assert apart.objective_usd_per_hour == pytest.approx(whole.objective_usd_per_hour, rel=1e-6)
    assert apart.bound_usd_per_hour == pytest.approx(apart.objective_usd_per_hour, rel=1e-6)
    assert {t for _, t in apart.billed} == set(problem.periods)
    assert len({kind for (kind, _), n in apart.replicas.items() if n}) == 1


def test_what_outlasts_an_hour_ties_them_together():
    problem = pools(0)
    first, *rest = problem.offers
    for change in ({"committed": True}, {"existing": 2}, {"min_nodes": 3}, {"periods": (0, 1)}):
        assert not separable(replace(problem, offers=(replace(first, **change), *rest)))
    for limits in (FleetLimits(max_vendors=1), FleetLimits(max_usd_per_hour=90.0)):
        assert not separable(replace(problem, limits=limits))
    (demand,) = problem.demands
    assert not separable(replace(problem, demands=(replace(demand, windows=((0, 1, 2, 3),)),)))
    assert not separable(replace(problem, resilience=Resilience()))
    assert not separable(replace(problem, serve_all=False))


def test_a_kind_that_has_no_fleet_in_one_hour_has_none():
    problem = pools(1)
    capped = tuple(replace(o, max_nodes=1) if o.gpu == "a" else o for o in problem.offers)
    on_a, on_b = problem.kinds
    (demand,) = problem.demands
    busy = replace(
        problem,
        kinds=(on_a, replace(on_b, gpus=1)),
        offers=capped,
        demands=(replace(demand, rates_qps=(2.0, 2.0, 60.0, 2.0)),),
    )
    found = solve(busy, time_limit_s=60)
    assert {kind for (kind, _), n in found.replicas.items() if n} == {"on b"}


def test_hours_of_the_same_rate_are_solved_once_and_time_ends_honestly():
    problem = replace(pools(2), kinds=pools(2).kinds[:1])
    (demand,) = problem.demands
    problem = replace(problem, demands=(replace(demand, rates_qps=(3.0, 5.0, 3.0, 5.0)),))
    made = []

    def one(only: Problem) -> Solution:
        made.append(only.demands[0].rates_qps)
        return solve(only, time_limit_s=60)

    found = period_by_period([(0.0, problem)], one, lambda: False)
    assert sorted(made) == [(3.0,), (5.0,)]
    assert found.status == "optimal"
    none = period_by_period([(1.5, problem)], one, lambda: True)
    assert (none.status, none.bound_usd_per_hour) == ("unknown", 1.5)
