"""Replicas of several GPU groups have them in one place, and nothing cheaper does."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest

from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import solve
from planner.verification.check import Verdict
from planner.verification.places import place_checks

GPU = "h100"


def offer(place: str, size: int, usd: float, most: int | None = None) -> NodeOffer:
    return NodeOffer(f"{place} {size}", GPU, size, usd, place=place, max_nodes=most)


def unit(groups: tuple[int, ...], qps: float, key: str = "unit") -> ReplicaKind:
    return ReplicaKind(key, GPU, sum(groups), {"chat": qps}, group_sizes=groups)


def problem(rate: float, kinds: tuple[ReplicaKind, ...], *offers: NodeOffer) -> Problem:
    return Problem((Demand("chat", "chat", (rate,), max_kinds=1),), kinds, offers)


def test_a_unit_is_not_spread_over_two_providers() -> None:
    """One node of 8 GPUs here and one of 4 there cost less, and cannot hand over between them."""
    offers = (offer("hyperstack", 8, 25.60), offer("scaleway", 4, 14.31))
    found = solve(problem(1.0, (unit((4, 4, 4), 2.0),), *offers))
    assert found.status == "optimal"
    assert found.objective_usd_per_hour == pytest.approx(3 * 14.31)
    assert {o for (o, _), n in found.billed.items() if n} == {"scaleway 4"}


def test_pipeline_stages_do_not_reach_from_owned_nodes_to_rented_ones() -> None:
    """Three owned nodes hold one replica of two stages; a second one is rented whole."""
    owned, rented = offer("own", 8, 5.0, most=3), offer("cloud", 8, 24.0)
    found = solve(problem(2.0, (unit((8, 8), 1.0),), owned, rented))
    assert found.objective_usd_per_hour == pytest.approx(2 * 5.0 + 2 * 24.0)


def test_replicas_of_one_group_lie_anywhere() -> None:
    owned, rented = offer("own", 8, 5.0, most=3), offer("cloud", 8, 24.0)
    found = solve(problem(4.0, (unit((8,), 1.0),), owned, rented))
    assert found.objective_usd_per_hour == pytest.approx(3 * 5.0 + 24.0)


def test_a_replica_lies_whole_on_one_of_hosts_that_do_not_reach_each_other() -> None:
    """Two groups fill two hosts of four for less, and must not; a whole host of eight holds them."""
    four, eight = offer("market", 4, 8.0), offer("market", 8, 20.0)
    apart = tuple(replace(o, network_gb_s=0.0) for o in (four, eight))
    kinds = (unit((4, 4), 1.0),)
    assert solve(problem(1.0, kinds, four, eight)).objective_usd_per_hour == pytest.approx(16.0)
    assert solve(problem(1.0, kinds, *apart)).objective_usd_per_hour == pytest.approx(20.0)
    assert solve(problem(1.0, kinds, apart[0])).status == "infeasible"
    narrow = (unit((4,), 0.5, "narrow"),)
    assert solve(problem(1.0, narrow, apart[0])).objective_usd_per_hour == pytest.approx(16.0)


def random_case(seed: int) -> Problem:
    """One wide and one narrow kind, nodes of one or two sizes in two places, in stock up to three each."""
    draw = random.Random(seed)
    offers = tuple(
        offer(place, size, round(size * draw.uniform(1.0, 3.0), 2), draw.choice((1, 2, 3)))
        for place in ("here", "there")
        for size in draw.sample((1, 2, 4), draw.choice((1, 2)))
    )
    kinds = (
        unit(draw.choice(((2, 2), (1, 1), (2, 1, 1))), draw.uniform(0.8, 2.0), "wide"),
        unit((draw.choice((1, 2)),), draw.uniform(0.3, 0.9), "narrow"),
    )
    return problem(draw.uniform(1.0, 3.0), kinds, *offers)


@pytest.mark.parametrize("seed", range(60))
def test_brute_force_over_places_agrees(seed: int) -> None:
    case = random_case(seed)
    least = least_usd(case)
    found = solve(case)
    if math.isinf(least):
        assert found.status == "infeasible"
        return
    assert found.status == "optimal"
    assert found.objective_usd_per_hour == pytest.approx(least, abs=1e-6)


def test_without_places_some_of_those_fleets_cost_less() -> None:
    cases = [random_case(seed) for seed in range(60)]
    anywhere = [replace(c, offers=tuple(replace(o, place="") for o in c.offers)) for c in cases]
    assert (
        sum(least_usd(a) < least_usd(c) - 1e-9 for a, c in zip(anywhere, cases, strict=True)) >= 3
    )


def networked_case(seed: int) -> Problem:
    """As ``random_case``, over networks of 0, 5 and 50 GB/s; the wide kind sized for 50 and for 5."""
    draw = random.Random(1000 + seed)
    case = random_case(seed)
    rates = {place: draw.choice((0.0, 5.0, 50.0)) for place in ("here", "there")}
    wide, narrow = case.kinds
    slower = {"chat": wide.capacity_qps["chat"] * draw.uniform(0.5, 1.0)}
    kinds = (
        replace(wide, network_gb_s=50.0),
        replace(wide, key="slow", capacity_qps=slower, network_gb_s=5.0),
        narrow,
    )
    offers = tuple(replace(o, network_gb_s=rates[o.place]) for o in case.offers)
    return replace(case, kinds=kinds, offers=offers)


@pytest.mark.parametrize("seed", range(60))
def test_brute_force_over_networks_agrees(seed: int) -> None:
    case = networked_case(seed)
    least = least_usd(case)
    found = solve(case)
    if math.isinf(least):
        assert found.status == "infeasible"
        return
    assert found.status == "optimal"
    assert found.objective_usd_per_hour == pytest.approx(least, abs=1e-6)
    assert all(c.verdict is Verdict.HOLDS for c in place_checks(case, found))


@pytest.mark.parametrize("seed", range(40))
def test_brute_force_over_networks_without_stock_agrees(seed: int) -> None:
    """Where every offer has as many nodes as anybody wants, kinds for dear networks are left out."""
    case = networked_case(seed)
    few = replace(case, demands=(replace(case.demands[0], rates_qps=(1.2,)),))
    free = replace(few, offers=tuple(replace(o, max_nodes=None) for o in few.offers))
    enough = replace(few, offers=tuple(replace(o, max_nodes=8) for o in few.offers))
    least, found = least_usd(enough), solve(free)
    if math.isinf(least):
        assert found.status == "infeasible"
        return
    assert found.status == "optimal"
    assert found.objective_usd_per_hour == pytest.approx(least, abs=1e-6)


def test_a_slower_network_costs_some_of_those_fleets_more() -> None:
    cases = [networked_case(seed) for seed in range(120)]
    fast = [
        replace(c, offers=tuple(replace(o, network_gb_s=50.0) for o in c.offers)) for c in cases
    ]
    assert sum(least_usd(f) < least_usd(c) - 1e-9 for f, c in zip(fast, cases, strict=True)) >= 3


def test_a_fleet_on_too_slow_a_network_fails_its_check() -> None:
    """Two hosts of eight joined at 5 GB/s do not hold a replica of two stages that was sized for 50."""
    kinds = (replace(unit((8, 8), 1.0), network_gb_s=50.0),)
    fast = replace(offer("here", 8, 20.0), network_gb_s=50.0)
    found = solve(problem(1.0, kinds, fast))
    assert [c.verdict for c in place_checks(problem(1.0, kinds, fast), found)] == [Verdict.HOLDS]
    slow = problem(1.0, kinds, replace(fast, network_gb_s=5.0))
    assert [c.verdict for c in place_checks(slow, found)] == [Verdict.FAILS]
    assert solve(slow).status == "infeasible"


def least_usd(case: Problem) -> float:
    """The least cost by counting: each kind alone, its replicas split over places in every way."""
    rate = case.demands[0].rates_qps[0]
    places = sorted({o.place for o in case.offers})
    least = math.inf
    for kind in case.kinds:
        count = math.ceil(rate / kind.capacity_qps["chat"] - 1e-9)
        for split in itertools.product(range(count + 1), repeat=len(places)):
            if sum(split) == count:
                usd = sum(
                    _place_usd(kind, n, [o for o in case.offers if o.place == place])
                    for place, n in zip(places, split, strict=True)
                )
                least = min(least, usd)
    return least


def _place_usd(kind: ReplicaKind, replicas: int, offers: list[NodeOffer]) -> float:
    """The cheapest nodes of one place, on one network, that hold the replicas' groups."""
    network = offers[0].network_gb_s
    groups = (kind.groups if kind.spans_over(network) else (kind.gpus,)) * replicas
    least = math.inf
    for counts in itertools.product(*(range((o.max_nodes or 0) + 1) for o in offers)):
        nodes = [o.gpus_per_node for o, n in zip(offers, counts, strict=True) for _ in range(n)]
        usd = sum(o.usd_per_hour * n for o, n in zip(offers, counts, strict=True))
        if usd < least and _hold(sorted(groups, reverse=True), tuple(sorted(nodes))):
            least = usd
    return least


def _hold(groups: list[int], free: tuple[int, ...]) -> bool:
    """Whether the groups, the largest first, fit into what is free of the nodes."""
    if not groups:
        return True
    first, rest = groups[0], groups[1:]
    return any(
        _hold(rest, tuple(sorted((*free[:i], free[i] - first, *free[i + 1 :]))))
        for i in range(len(free))
        if free[i] >= first and free[i] not in free[:i]
    )
