"""Replica kinds and offers that can never be part of a cheapest fleet are dropped before the solver.

A kind is dropped only for another of the same GPU type whose groups fit wherever its own do, with no
more GPUs per replica, at least its capacity for every demand it serves, and no higher TPOT: swapping
one for the other, replica by replica, keeps every constraint and never costs more. Capacity per
dollar is not dominance. An offer is dropped only for an unlimited one that is equal in everything
but its price.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from planner.fleet.problem import NodeOffer, Problem, ReplicaKind


def without_dominated(problem: Problem) -> Problem:
    """The same problem with fewer kinds and offers and the same optimum."""
    return replace(problem, kinds=_kinds(problem.kinds), offers=_offers(problem.offers))


def dominates(better: ReplicaKind, worse: ReplicaKind) -> bool:
    """Whether each replica of ``worse`` may be swapped for one of ``better`` at no loss."""
    return (
        better.gpu == worse.gpu
        and better.gpus <= worse.gpus
        and _fits_wherever(better, worse)
        and (better.tpot_s <= worse.tpot_s or better.gpus < worse.gpus)
        and all(
            better.capacity_qps.get(s, 0.0) >= capacity
            for s, capacity in worse.capacity_qps.items()
        )
    )


def _fits_wherever(better: ReplicaKind, worse: ReplicaKind) -> bool:
    """Each group of ``better`` takes the place of a group of ``worse`` at least as large."""
    mine, theirs = sorted(better.groups, reverse=True), sorted(worse.groups, reverse=True)
    return len(mine) <= len(theirs) and all(a <= b for a, b in zip(mine, theirs, strict=False))


def _kinds(kinds: tuple[ReplicaKind, ...]) -> tuple[ReplicaKind, ...]:
    """Non-dominated kinds, in their order; of equals the first stays."""
    rivals: dict[tuple[str, frozenset[str]], list[ReplicaKind]] = defaultdict(list)
    for kind in kinds:
        rivals[kind.gpu, frozenset(kind.capacity_qps)].append(kind)
    kept: set[str] = set()
    for group in rivals.values():
        best: list[ReplicaKind] = []
        for kind in sorted(group, key=_strength):
            if not any(dominates(b, kind) for b in best):
                best.append(kind)
        kept.update(k.key for k in best)
    return tuple(k for k in kinds if k.key in kept)


def _strength(kind: ReplicaKind) -> tuple[float, ...]:
    """A dominating kind sorts before what it dominates."""
    return (
        kind.gpus,
        len(kind.groups),
        max(kind.groups),
        -sum(kind.capacity_qps.values()),
        kind.tpot_s,
    )


def _offers(offers: tuple[NodeOffer, ...]) -> tuple[NodeOffer, ...]:
    """Offers that no unlimited, otherwise equal one undercuts, in their order."""
    best: dict[NodeOffer, NodeOffer] = {}
    for offer in sorted(offers, key=lambda o: (o.usd_per_hour, o.key)):
        if offer.max_nodes is None:
            best.setdefault(_terms(offer), offer)
    return tuple(
        o
        for o in offers
        if (rival := best.get(_terms(o))) is None
        or o is rival
        or (o.max_nodes is not None and o.usd_per_hour <= rival.usd_per_hour)
    )


def _terms(offer: NodeOffer) -> NodeOffer:
    """The offer without its name, price and stock: what must be equal to compare."""
    return replace(offer, key="", usd_per_hour=0.0, max_nodes=None)
