"""Replica kinds and offers that can never be part of a cheapest fleet are dropped before the solver.

A kind is dropped for another of the same GPU type when, in the place of each of its replicas, a
whole number of replicas of the other fits, group by group, on no more GPUs and with at least its
capacity for every demand. Swapping one for the other keeps every constraint and never costs more.
Where a service picks one kind for itself, what counts is all its replicas together: a kind is
dropped for another whose groups divide its own and that needs no more GPUs in any period.
Capacity per dollar is not dominance. An offer is dropped for an unlimited one that is equal in all
that a limit or a failure looks at, whose nodes, one or several for one, cost no more.
Spot pools are dropped that cost no less than nodes which stay (``dear_spot``).
A unit of two GPU types never replaces another kind; offers of its types are compared within a place,
as are those of GPU types that ``one_place`` names.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from planner.fleet.offers.dear_networks import without_dear_networks
from planner.fleet.offers.dear_spot import without_dear_spot
from planner.fleet.offers.places import useful_places
from planner.fleet.program.demand_index import Services
from planner.fleet.program.packing import Shape, nested, share_of
from planner.fleet.program.problem import NodeOffer, Problem, ReplicaKind

EQUAL = 1e-12  # relative: eight times an eighth is the whole

Rule = Callable[[ReplicaKind, ReplicaKind], bool]


def without_dominated(problem: Problem, *, ties: bool = True) -> Problem:
    """The same problem with fewer kinds and offers and the same optimum.

    ``ties``: also keep what only the order among equally cheap plans could prefer.
    """
    racks = {o.gpu for o in problem.offers if o.link_gpus > o.gpus_per_node}
    problem = without_dear_networks(problem, lambda b, w: dominates(b, w, ties=ties))
    placed = problem.placed

    def rule(better: ReplicaKind, worse: ReplicaKind) -> bool:
        if better.gpu in placed and better.network_gb_s > worse.network_gb_s:
            return False
        return dominates(better, worse, ties=ties, rack=better.gpu in racks)

    kept = _kept(problem.kinds, rule)
    smaller = replace(problem, kinds=kept)
    smaller = replace(smaller, offers=_offers(smaller))
    smaller = replace(smaller, offers=without_dear_spot(smaller))
    smaller = replace(smaller, offers=useful_places(smaller))
    if problem.resilience.by_place or problem.one_place:
        return smaller
    return replace(smaller, kinds=_kinds_that_need_least(smaller, racks, ties))


def dominates(
    better: ReplicaKind, worse: ReplicaKind, *, ties: bool = True, rack: bool = False
) -> bool:
    """Whether replicas of ``better`` may replace each replica of ``worse`` at no loss.

    ``rack``: groups of this GPU may span nodes; then one replica replaces one.
    """
    if better.gpu != worse.gpu or better.gpus > worse.gpus or better.beside is not None:
        return False
    times = _stand_ins(better, worse)
    if rack:
        times = min(times, 1)
    return (
        times > 0
        and (not ties or better.tpot_s <= worse.tpot_s or times * _size(better) < _size(worse))
        and all(
            times * better.capacity_qps.get(s, 0.0) >= capacity
            for s, capacity in worse.capacity_qps.items()
        )
    )


def _stand_ins(better: ReplicaKind, worse: ReplicaKind) -> int:
    """Replicas of ``better`` that fit into the groups, or the share of a GPU, of one of ``worse``."""
    if better.gpu_share < 1:
        return worse.gpus * math.floor(share_of(worse) / share_of(better))
    if worse.gpu_share < 1:
        return 0
    mine, theirs = better.groups, worse.groups
    if len(mine) == 1:
        return sum(g // mine[0] for g in theirs)
    matched = zip(sorted(mine, reverse=True), sorted(theirs, reverse=True), strict=False)
    return int(len(mine) <= len(theirs) and all(a <= b for a, b in matched))


def _size(kind: ReplicaKind) -> float:
    return kind.gpus * kind.gpu_share


def _kept(kinds: tuple[ReplicaKind, ...], rule: Rule) -> tuple[ReplicaKind, ...]:
    """Kinds that no kept one dominates, in their order; of equals the first stays."""
    rivals: dict[tuple[str, frozenset[str]], list[ReplicaKind]] = defaultdict(list)
    for kind in kinds:
        rivals[kind.gpu, frozenset(kind.capacity_qps)].append(kind)
    kept = {k.key for group in rivals.values() for k in _best(sorted(group, key=_strength), rule)}
    return tuple(k for k in kinds if k.key in kept)


def _best(kinds: Iterable[ReplicaKind], rule: Rule) -> list[ReplicaKind]:
    best: list[ReplicaKind] = []
    for kind in kinds:
        if not any(rule(b, kind) for b in best):
            best.append(kind)
    return best


def _strength(kind: ReplicaKind) -> tuple[float, ...]:
    """A dominating kind sorts before what it dominates."""
    together = sum(kind.capacity_qps.values())
    return (
        _size(kind),
        len(kind.groups),
        max(kind.groups, default=0),
        -together,
        kind.tpot_s,
    )


def _kinds_that_need_least(
    problem: Problem, racks: set[str], ties: bool
) -> tuple[ReplicaKind, ...]:
    """Where a service picks one kind, drop kinds whose replicas together need as many GPUs or more.

    Not one on shares of GPUs for one on whole GPUs, where another service's replicas may take the rest.
    """
    services = Services.of(problem)
    dropped: set[str] = set()
    for g in services.one_kind:
        needs = {k.key: services.gpus_alone(g, k) for k in services.kinds_of[g]}
        joined = {k.gpu for k in problem.kinds if k.gpu_share < 1 and k.key not in needs}
        kinds = sorted(services.kinds_of[g], key=lambda k: (sum(needs[k.key] or ()), _strength(k)))
        dropped |= _needing_more(kinds, needs, joined, racks, ties)
    return tuple(k for k in problem.kinds if k.key not in dropped)


def _needing_more(
    kinds: Iterable[ReplicaKind],
    needs: Mapping[str, tuple[int, ...] | None],
    joined: set[str],
    racks: set[str],
    ties: bool,
) -> set[str]:
    """Keys of the kinds that one kept before them makes useless; what cannot carry the service is.

    ``needs``: GPUs by period; ``joined``: GPU types whose rest another service may take.
    """
    dropped: set[str] = set()
    rivals: dict[str, list[tuple[int, tuple[int, ...], float]]] = defaultdict(list)
    kept = 0
    for kind in kinds:
        need, groups = needs[kind.key], kind.groups
        if not (kind.gpu_share < 1 and kind.gpu in joined) and (
            kept > 0
            if need is None
            else any(
                all(size % group == 0 for size in groups or (1,))
                and all(x <= y for x, y in zip(mine, need, strict=True))
                and not (ties and mine == need and tpot_s > kind.tpot_s)
                for group, mine, tpot_s in rivals[kind.gpu]
            )
        ):
            dropped.add(kind.key)
            continue
        kept += 1
        even = len(set(groups)) == 1 and kind.beside is None and kind.gpu not in racks
        if even and need is not None:
            rivals[kind.gpu].append((groups[0], need, kind.tpot_s))
    return dropped


def _offers(problem: Problem) -> tuple[NodeOffer, ...]:
    """Offers that no unlimited rival undercuts, in their order.

    A rival is equal in everything a limit or a failure looks at. It may have smaller nodes, so many of
    which make up one, as long as every group of its GPU type fits into one of them and sizes nest: three
    nodes of 4 hold fewer groups of 3 than one of 12. Where nodes may fail, replicas count as groups.
    """
    groups: dict[str, set[int]] = defaultdict(lambda: {1})
    placed = problem.placed
    for kind in problem.kinds:
        for one in filter(None, (kind, kind.other_pool())):
            if not problem.resilience.nodes:
                groups[one.gpu].update(one.groups)
            if problem.resilience.nodes or one.gpu in placed:
                groups[one.gpu].add(one.gpus)
    rivals: dict[tuple[object, ...], list[NodeOffer]] = defaultdict(list)
    alike = {o.key: _equal(problem, placed, o) for o in problem.offers}
    for o in sorted(problem.offers, key=lambda o: (o.usd_per_hour / o.gpus_per_node, o.key)):
        if o.max_nodes is None and o.min_nodes <= 1:
            rivals[alike[o.key]].append(o)
    return tuple(
        o
        for o in problem.offers
        if not any(_undercuts(problem, rival, o, groups[o.gpu]) for rival in rivals[alike[o.key]])
    )


def _equal(problem: Problem, placed: frozenset[str], o: NodeOffer) -> tuple[object, ...]:
    """What must be equal to compare two offers; ``placed``: of the problem."""
    lost = problem.resilience
    zone = o.zone if lost.zones else ""
    pool = (o.zone, o.pool) if lost.spot_pools and o.spot else ()
    when = (o.committed, o.spot, o.periods, o.reserve_share)
    vendor = o.vendor if problem.limits.max_vendors is not None else ""
    place = (o.place, o.network_gb_s) if o.gpu in placed else ()
    return (o.gpu, o.link_gpus, zone, pool, when, o.existing > 0, vendor, place)


def _undercuts(problem: Problem, rival: NodeOffer, o: NodeOffer, groups: set[int]) -> bool:
    """Whether nodes of ``rival`` can take the place of each of ``o``, at no cost, ``groups`` included."""
    if rival.key == o.key or o.gpus_per_node % rival.gpus_per_node:
        return False
    times = o.gpus_per_node // rival.gpus_per_node
    if times * rival.usd_per_hour > o.usd_per_hour + EQUAL * o.usd_per_hour:
        return False
    if times > 1 and not (
        rival.gpus_per_node >= max(groups) and nested(groups, (Shape.of(rival), Shape.of(o)))
    ):
        return False
    counted = [
        (c.per_node.get(rival.key, 0.0), c.per_node.get(o.key, 0.0)) for c in problem.limits.caps
    ]
    pairs = [(rival.usd_per_hour, o.usd_per_hour), (rival.power_kw, o.power_kw), *counted]
    if any(times * mine > theirs + EQUAL * theirs for mine, theirs in pairs[1:]):
        return False
    same = times == 1 and all(mine == theirs for mine, theirs in pairs) and o.max_nodes is None
    return not same or rival.key < o.key
