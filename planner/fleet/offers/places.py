"""Zones and spot pools that a cheapest fleet never needs, where places may fail.

A place is a zone where zones may fail, else a spot pool in its zone. A fleet is spread over places so that
each loses little, so a place more can be worth its higher price, and one with smaller nodes too. Two rules
leave out what is provably of no use; neither looks at the price per GPU alone.

Copies: an offer is dropped where one copy of its node at each of ``f + 1`` other places, f of which may
fail, costs no more together. Whatever fails, one copy is left for each node that stood here.

Spare: at a GPU type, a place is dropped for ``M`` others that each offer all its nodes at no higher price.
``M`` is more than the places a fleet without superfluous replicas uses. A kind whose ``T`` replicas
carry all that it can serve never needs to be in more than ``T + f`` places, f being the most of a
sort that fail: with one replica fewer, T are left after every loss. So one of the M others is unused, and
all nodes of the place can move there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import replace

from planner.fleet.program.demand_index import Services, most_kinds
from planner.fleet.program.problem import NodeOffer, Problem, ReplicaKind

SPARE_PLACES = 2  # beyond those that may fail, where only a few can be looked at
EQUAL = 1e-12  # relative: sums of prices this close are the same


def useful_places(problem: Problem) -> tuple[NodeOffer, ...]:
    """The offers without those at places that are of no use; all where no place may fail."""
    lost, limits = problem.resilience, problem.limits
    if problem.placed or not (lost.zones or lost.spot_pools) or limits.caps or limits.max_vendors:
        return problem.offers
    gpus = {o.gpu for o in problem.offers}
    kept: set[str] = set()
    for gpu in gpus:
        offers = [o for o in problem.offers if o.gpu == gpu]
        if limits.max_gpus is None and limits.max_power_kw is None and gpu not in limits.stock:
            offers = _without_copied(problem, offers)
        kept |= {o.key for o in _without_spare(problem, gpu, offers)}
    return tuple(o for o in problem.offers if o.key in kept)


def fewer_places(problem: Problem) -> Problem:
    """The problem with the cheapest places of each GPU type, and the cheapest for its smallest nodes."""
    if problem.placed:  # a place is of use for what both its GPU types cost
        return problem
    may_fail = max(problem.resilience.zones, problem.resilience.spot_pools)
    smallest: dict[tuple[str, bool], int] = {}
    for o in problem.offers:
        size = smallest.get((o.gpu, o.spot), o.gpus_per_node)
        smallest[o.gpu, o.spot] = min(size, o.gpus_per_node)
    kept: set[str] = set()
    cheapest: dict[tuple[str, bool], set[Hashable]] = defaultdict(set)
    small: dict[tuple[str, bool], set[Hashable]] = defaultdict(set)
    for o in sorted(problem.offers, key=lambda o: (o.usd_per_hour / o.gpus_per_node, o.key)):
        place, gpu = place_of(problem, o), (o.gpu, o.spot)
        is_small = o.gpus_per_node == smallest[gpu]
        few = place in cheapest[gpu] or len(cheapest[gpu]) < may_fail + SPARE_PLACES
        if few:
            cheapest[gpu].add(place)
        if few or place is None or not o.is_free or (is_small and len(small[gpu]) < may_fail):
            kept.add(o.key)
            if is_small:
                small[gpu].add(place)
    return replace(problem, offers=tuple(o for o in problem.offers if o.key in kept))


def place_of(problem: Problem, o: NodeOffer) -> Hashable:
    """What fails with the nodes of an offer; None = nothing but nodes and replicas."""
    if problem.resilience.zones:
        return o.zone
    return (o.zone, o.pool) if problem.resilience.spot_pools and o.spot else None


def _equal(problem: Problem, o: NodeOffer) -> tuple[object, ...]:
    """What must be equal for a node elsewhere to do the same."""
    both = problem.resilience.zones and problem.resilience.spot_pools and o.spot
    pool = o.pool if both else ""
    return (o.gpus_per_node, o.link_gpus, o.committed, o.spot, o.periods, o.reserve_share, pool)


def _without_copied(problem: Problem, offers: list[NodeOffer]) -> list[NodeOffer]:
    """Offers whose node costs less than copies of it at as many other places as may fail, and one."""
    lost = problem.resilience
    cheapest: dict[tuple[object, ...], dict[Hashable, float]] = defaultdict(dict)
    for o in (o for o in offers if o.is_free):
        at = cheapest[_equal(problem, o)]
        place = place_of(problem, o)
        at[place] = min(at.get(place, math.inf), o.usd_per_hour)

    def is_copied(o: NodeOffer) -> bool:
        place = place_of(problem, o)
        if place is None or o.existing or o.usd_per_hour <= 0:
            return False
        if o.spot and problem.limits.max_spot_share is not None:
            return False
        copies = 1 + max(lost.zones, lost.spot_pools if o.spot else 0)
        others = sorted(p for at, p in cheapest[_equal(problem, o)].items() if at != place)
        enough = len(others) >= copies
        return enough and sum(others[:copies]) <= o.usd_per_hour * (1 + EQUAL)

    return [o for o in offers if not is_copied(o)]


def _without_spare(problem: Problem, gpu: str, offers: list[NodeOffer]) -> list[NodeOffer]:
    """Offers at the places that a fleet without superfluous replicas may need."""
    at: dict[Hashable, dict[tuple[object, ...], float]] = defaultdict(dict)
    stay: set[Hashable] = {None}
    committed: set[Hashable] = set()
    for o in offers:
        place, equal = place_of(problem, o), _equal(problem, o)
        if o.committed:
            committed.add(place)
        if o.is_free:
            at[place][equal] = min(at[place].get(equal, math.inf), o.usd_per_hour)
        else:
            stay.add(place)
    by_period = [_most_places(problem, gpu, t) for t in problem.periods]
    for place in at:
        most = sum(by_period) if place in committed else max(by_period)
        better = sum(_is_better(at, other, place) for other in at if other is not None)
        if better < most:
            stay.add(place)
    return [o for o in offers if place_of(problem, o) in stay]


def _is_better(
    at: Mapping[Hashable, Mapping[tuple[object, ...], float]], other: Hashable, place: Hashable
) -> bool:
    """Whether ``other`` offers all that ``place`` does for no more; of equals the first by name."""
    mine, theirs = at[place], at[other]
    if other == place or not _offers_all(theirs, mine):
        return False
    return not _offers_all(mine, theirs) or str(other) < str(place)


def _offers_all(
    prices: Mapping[tuple[object, ...], float], wanted: Mapping[tuple[object, ...], float]
) -> bool:
    return all(prices.get(equal, math.inf) <= price for equal, price in wanted.items())


def _most_places(problem: Problem, gpu: str, t: int) -> int:
    """Places that services with kinds on ``gpu`` use at most in period ``t``."""
    services, lost = Services.of(problem), problem.resilience
    spare = max(lost.replicas, lost.nodes, lost.zones, lost.spot_pools)
    most = 0
    for g, kinds in services.kinds_of.items():
        if not any(k.gpu == gpu for k in kinds):
            continue
        if g in services.one_kind:
            needs = [_replicas_for_all(problem, k, t) for k in kinds if k.gpu == gpu]
            most += max(needs) + spare
            continue
        needs = sorted((_replicas_for_all(problem, k, t) for k in kinds), reverse=True)
        mixed = needs[: most_kinds(services.demands[g])]
        most += sum(mixed) + spare * len(mixed)
    return most


def _replicas_for_all(problem: Problem, kind: ReplicaKind, t: int) -> int:
    """Replicas of a kind that carry all it can serve in period ``t``, rounded up."""
    return math.ceil(
        sum(
            s.rates_qps[t] / kind.capacity_qps[s.key]
            for s in problem.demands
            if kind.capacity_qps.get(s.key, 0.0) > 0
        )
    )
