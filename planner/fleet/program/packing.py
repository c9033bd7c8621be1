"""Which nodes can hold which replicas, and how whole groups fill whole nodes.

Replicas are free to run on any node of a ``Site``: nodes of one GPU type, distinguished by zone or spot
pool only where one may fail, spot from other nodes where their share is limited.
Where group sizes divide one another and the nodes (1, 2, 4, 8 in nodes of 1 and 8), counting GPUs is
exact: placed largest first, groups leave no hole that a smaller one could not use, so it is enough
that groups of a size or larger find as many GPUs among the nodes that can hold that size. Elsewhere
(3 and 5 in 8) nodes are filled by patterns: group sizes that fit together, with no room for more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from planner.fleet.program.problem import NodeOffer, ReplicaKind


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """Where replicas may run together.

    ``zone`` and ``pool`` are "" where no failure distinguishes them; ``tenant`` names the services the
    nodes are kept for, "" where services share nodes. ``place``: provider and region of GPU types whose
    nodes are distinguished by it, "" for any other; ``network_gb_s``: a GPU's share
    of what joins those, 0 where they do not reach each other. ``spot``: of spot nodes, where their share
    is limited.
    """

    gpu: str
    zone: str = ""
    pool: str = ""
    tenant: str = ""
    place: str = ""
    network_gb_s: float = math.inf
    spot: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """A node of ``gpus`` GPUs; a group of up to ``reach`` GPUs stays within one fast-link domain."""

    gpus: int
    reach: int

    @classmethod
    def of(cls, offer: NodeOffer) -> Shape:
        """The shape of an offer's nodes."""
        return cls(offer.gpus_per_node, max(offer.link_gpus, offer.gpus_per_node))

    def nodes_for(self, group: int) -> int:
        """Whole nodes that a group takes when it is larger than one."""
        return -(-group // self.gpus)


def nested(groups: Iterable[int], shapes: Iterable[Shape]) -> bool:
    """Whether group sizes divide one another and the nodes, so that counting GPUs is exact."""
    sizes = sorted(set(groups))
    chain = all(b % a == 0 for a, b in itertools.pairwise(sizes))
    return chain and all(
        max(g, s.gpus) % min(g, s.gpus) == 0 for s in shapes for g in sizes if g <= s.reach
    )


def group_gpus(kind: ReplicaKind, at_least: int) -> int:
    """GPUs of a replica that are in groups of that size or larger."""
    return sum(g for g in kind.groups if g >= at_least)


def shares(kinds: Iterable[ReplicaKind]) -> tuple[tuple[Fraction, ...], int]:
    """The distinct shares of a GPU that ``kinds`` take, and the parts a GPU is counted in."""
    sizes = sorted({share_of(k) for k in kinds if k.gpu_share < 1})
    return tuple(sizes), math.lcm(*(s.denominator for s in sizes))


def share_of(kind: ReplicaKind) -> Fraction:
    """The share of its GPU a replica takes, as a fraction of at most 64 parts, rounded up."""
    exact = Fraction(kind.gpu_share)
    simple = exact.limit_denominator(64)
    return simple if simple >= exact - Fraction(1, 10**9) else Fraction(math.ceil(exact * 64), 64)


def cuts(sizes: tuple[Fraction, ...], parts: int) -> tuple[tuple[int, ...], ...]:
    """Every way to cut one GPU into ``sizes`` with no room for more; counts in their order."""
    return tuple(_fillings(tuple(int(s * parts) for s in sizes), parts))


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way to fill ``nodes`` nodes: how many groups of each size, as (size, count)."""

    nodes: int
    slots: tuple[tuple[int, int], ...]


@cache
def patterns(sizes: tuple[int, ...], shape: Shape) -> tuple[Pattern, ...]:
    """Every way to fill a node so that no further group of ``sizes`` fits beside those in it.

    A group larger than the node takes whole nodes for itself.
    """
    within = tuple(sorted({s for s in sizes if s <= shape.gpus}))
    spanning = sorted({s for s in sizes if shape.gpus < s <= shape.reach})
    filled = [
        Pattern(1, tuple((s, n) for s, n in zip(within, counts, strict=True) if n))
        for counts in _fillings(within, shape.gpus)
    ]
    return (*filled, *(Pattern(shape.nodes_for(s), ((s, 1),)) for s in spanning))


def _fillings(sizes: tuple[int, ...], room: int) -> list[tuple[int, ...]]:
    """Counts per size that fit into ``room`` and leave no room for the smallest."""
    if not sizes:
        return []
    found: list[tuple[int, ...]] = []

    def fill(position: int, free: int, counts: tuple[int, ...]) -> None:
        if position < 0:
            if free < sizes[0]:
                found.append(counts)
            return
        for count in range(free // sizes[position], -1, -1):
            fill(position - 1, free - count * sizes[position], (count, *counts))

    fill(len(sizes) - 1, room, ())
    return [p for p in found if not any(_covers(q, p) for q in found)]


def _covers(more: tuple[int, ...], less: tuple[int, ...]) -> bool:
    return more != less and all(a >= b for a, b in zip(more, less, strict=True))
