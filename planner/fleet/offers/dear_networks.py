"""Replica kinds that were sized for a slow network whose nodes cost no less than those of a faster one.

Where places are distinguished, a kind sized for each network of its GPU type multiplies the program. One
for a slower network is of use only where nodes of just that network cost less: else all of its replicas
could stand, as the same kind sized for the faster one, at a place whose nodes cost no more. That is so
where nothing but cost tells places apart.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

from planner.fleet.program.problem import NodeOffer, Problem, ReplicaKind

Better = Callable[[ReplicaKind, ReplicaKind], bool]


def without_dear_networks(problem: Problem, better: Better) -> Problem:
    """The same problem without such kinds, and with the same optimum.

    ``better``: whether the first of two kinds may stand in for the second, networks aside.
    """
    lost, limits = problem.resilience, problem.limits
    if lost.by_place or limits.caps or limits.max_vendors is not None:
        return problem
    dear = {gpu: _dear(problem, gpu) for gpu in problem.placed}

    def is_dear(kind: ReplicaKind) -> bool:
        if kind.beside is not None or kind.network_gb_s not in dear.get(kind.gpu, ()):
            return False
        return any(
            k.network_gb_s > kind.network_gb_s and k.beside is None and better(k, kind)
            for k in problem.kinds
        )

    return replace(problem, kinds=tuple(k for k in problem.kinds if not is_dear(k)))


def _dear(problem: Problem, gpu: str) -> set[float]:
    """Rates of the type's kinds whose own nodes a faster network has at no higher cost [GB/s]."""
    rates = sorted({k.network_gb_s for k in problem.kinds if k.gpu == gpu and k.network_gb_s})
    offers = [o for o in problem.offers if o.gpu == gpu]
    dear: set[float] = set()
    for slow, fast in itertools.pairwise(rates):
        own = [o for o in offers if slow <= o.network_gb_s < fast]
        if _covered(own, [o for o in offers if o.network_gb_s >= fast]):
            dear.add(slow)
    return dear


def _covered(own: Iterable[NodeOffer], faster: Iterable[NodeOffer]) -> bool:
    """Whether for each place of ``own`` some place of ``faster`` has all of its nodes for no more."""
    places: dict[str, list[NodeOffer]] = defaultdict(list)
    for o in faster:
        if o.is_free:
            places[o.place].append(o)
    mine: dict[str, list[NodeOffer]] = defaultdict(list)
    for o in own:
        mine[o.place].append(o)
    return all(
        any(all(any(_for_no_more(f, o) for f in there) for o in here) for there in places.values())
        for here in mine.values()
    )


def _for_no_more(f: NodeOffer, o: NodeOffer) -> bool:
    """Whether a node of ``f`` stands in for one of ``o``."""
    equal = (f.gpus_per_node, f.link_gpus, f.committed, f.spot, f.periods, f.reserve_share) == (
        *(o.gpus_per_node, o.link_gpus, o.committed, o.spot, o.periods, o.reserve_share),
    )
    return equal and not o.existing and f.usd_per_hour <= o.usd_per_hour
