"""What must hold for any fleet, for fixed capacities; and two solvers that agree."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import fleet_instances
import pytest

from planner.fleet.program.problem import Problem, Solution
from planner.fleet.program.program import solve

MAKERS = [
    fleet_instances.mixes,
    fleet_instances.buckets,
    fleet_instances.packing,
    fleet_instances.periods,
    fleet_instances.redundancy,
    fleet_instances.wide_and_small,
    fleet_instances.places,
]
SEEDS = [range(6), pytest.param(range(6, 40), marks=pytest.mark.long)]


def every_kind(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test on a few fleets of each kind, and with --long on many."""
    few_or_many = pytest.mark.parametrize("seeds", SEEDS, ids=["few", "many"])
    makers = pytest.mark.parametrize("make", MAKERS, ids=lambda m: m.__name__)
    return makers(few_or_many(test))


def usd(solution: Solution) -> float:
    return (
        float("inf") if solution.objective_usd_per_hour is None else solution.objective_usd_per_hour
    )


@cache
def plain_usd(make: Callable[[int], Problem], seed: int) -> float:
    """What the problem costs unchanged, solved once."""
    return usd(solve(make(seed)))


def close(value: float) -> object:
    return pytest.approx(value, abs=1e-6)


@every_kind
def test_highs_and_cbc_agree(make: Callable[[int], Problem], seeds: range) -> None:
    for seed in seeds:
        highs, cbc = solve(make(seed)), solve(make(seed), solver="cbc")
        assert highs.status == cbc.status
        assert usd(highs) == close(usd(cbc))


@every_kind
def test_scaling_prices_scales_cost(make: Callable[[int], Problem], seeds: range) -> None:
    for seed in seeds:
        problem = make(seed)
        limits = problem.limits
        if limits.max_usd_per_hour is not None:
            limits = replace(limits, max_usd_per_hour=3 * limits.max_usd_per_hour)
        dearer = replace(
            problem,
            offers=tuple(replace(o, usd_per_hour=3 * o.usd_per_hour) for o in problem.offers),
            limits=limits,
        )
        assert usd(solve(dearer)) == close(3 * plain_usd(make, seed))


@every_kind
def test_an_offer_more_never_costs_more(make: Callable[[int], Problem], seeds: range) -> None:
    for seed in seeds:
        problem = make(seed)
        more = replace(problem.offers[0], key="one more", usd_per_hour=1.5, max_nodes=2)
        wider = replace(problem, offers=(*problem.offers, more))
        assert usd(solve(wider)) <= plain_usd(make, seed) + 1e-6


@every_kind
def test_more_load_never_costs_less(make: Callable[[int], Problem], seeds: range) -> None:
    for seed in seeds:
        problem = make(seed)
        busier = replace(
            problem,
            demands=tuple(
                replace(d, rates_qps=tuple(1.3 * r for r in d.rates_qps)) for d in problem.demands
            ),
        )
        assert usd(solve(busier)) >= plain_usd(make, seed) - 1e-6


@every_kind
def test_looser_limits_never_cost_more(make: Callable[[int], Problem], seeds: range) -> None:
    for seed in seeds:
        problem = make(seed)
        freer = replace(
            problem,
            limits=replace(problem.limits, max_gpus=None, max_usd_per_hour=None, stock={}),
            offers=tuple(replace(o, max_nodes=None) for o in problem.offers),
        )
        assert usd(solve(freer)) <= plain_usd(make, seed) + 1e-6


@every_kind
def test_permuting_the_input_changes_nothing(make: Callable[[int], Problem], seeds: range) -> None:
    for seed in seeds:
        problem = make(seed)
        rng = random.Random(seed)
        turned = replace(
            problem,
            demands=tuple(rng.sample(problem.demands, len(problem.demands))),
            kinds=tuple(rng.sample(problem.kinds, len(problem.kinds))),
            offers=tuple(rng.sample(problem.offers, len(problem.offers))),
        )
        assert usd(solve(turned)) == close(plain_usd(make, seed))


def test_merging_identical_services_never_costs_more() -> None:
    for seed in range(40):
        problem = fleet_instances.mixes(seed)
        first = next(d for d in problem.demands)
        own = [k for k in problem.kinds if first.key in k.capacity_qps]
        twin = replace(first, key="twin", service="twin")
        apart = replace(
            problem,
            demands=(first, twin),
            kinds=tuple(
                replace(k, key=f"{k.key} for {s}", capacity_qps={s: k.capacity_qps[first.key]})
                for k in own
                for s in (first.key, "twin")
            ),
        )
        doubled = replace(first, rates_qps=tuple(2 * r for r in first.rates_qps))
        together = replace(problem, demands=(doubled,), kinds=tuple(own))
        assert usd(solve(together)) <= usd(solve(apart)) + 1e-6


@every_kind
def test_the_same_question_gets_the_same_answer(
    make: Callable[[int], Problem], seeds: range
) -> None:
    for seed in seeds[:4]:
        one, two = solve(make(seed)), solve(make(seed))
        assert replace(one, seconds=0.0) == replace(two, seconds=0.0)
