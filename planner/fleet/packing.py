"""Which nodes can hold which replicas, and how whole groups fill whole nodes.

Nodes of one GPU type, size and failure domain form a class: what is rented within it is
interchangeable. Where group sizes divide one another and the node (1, 2, 4, 8 in 8), counting GPUs is
exact: sorted by size, groups fill a node without a hole. Elsewhere (3 and 5 in 8) nodes are filled
by patterns, multisets of group sizes that fit and to which nothing can be added.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from planner.fleet.problem import NodeOffer, ReplicaKind


@dataclass(frozen=True, slots=True, order=True)
class NodeClass:
    """Interchangeable nodes: GPU type, GPUs per node and per link domain, and failure domain.

    ``domain`` is "" where no failure tells zones or pools apart; ``tenant`` is the service the nodes
    are kept for, "" where services share nodes.
    """

    gpu: str
    gpus_per_node: int
    link_gpus: int
    domain: str = ""
    tenant: str = ""

    def holds(self, kind: ReplicaKind) -> bool:
        """Whether one replica can run on nodes of this class.

        A group larger than a node spans nodes of one link domain.
        """
        return kind.gpu == self.gpu and all(
            g <= max(self.gpus_per_node, self.link_gpus) for g in kind.groups
        )

    def pieces(self, kind: ReplicaKind) -> tuple[int, ...]:
        """The replica's groups as pieces that each lie within one node [GPUs]."""
        whole = [divmod(g, self.gpus_per_node) for g in kind.groups]
        return tuple(
            piece
            for nodes, rest in whole
            for piece in (self.gpus_per_node,) * nodes + ((rest,) if rest else ())
        )


def node_class(offer: NodeOffer, domain: str = "", tenant: str = "") -> NodeClass:
    """The class of an offer's nodes."""
    link = max(offer.link_gpus, offer.gpus_per_node)
    return NodeClass(offer.gpu, offer.gpus_per_node, link, domain, tenant)


def nested(sizes: Iterable[int], node: int) -> bool:
    """Whether each size divides the next larger one and the node, so that counting is exact."""
    chain = [*sorted(set(sizes)), node]
    return all(b % a == 0 for a, b in itertools.pairwise(chain))


@cache
def patterns(sizes: tuple[int, ...], node: int) -> tuple[tuple[int, ...], ...]:
    """Every way to fill a node of ``node`` GPUs so that no further group of ``sizes`` fits.

    Each pattern counts the groups per size, in the order of ``sizes`` (distinct, ascending).
    """
    if not sizes:
        return ()
    found = []

    def fill(position: int, free: int, counts: tuple[int, ...]) -> None:
        if position < 0:
            if free < sizes[0]:
                found.append(counts)
            return
        for count in range(free // sizes[position], -1, -1):
            fill(position - 1, free - count * sizes[position], (count, *counts))

    fill(len(sizes) - 1, node, ())
    return tuple(p for p in found if not any(_covers(q, p) for q in found))


def _covers(more: tuple[int, ...], less: tuple[int, ...]) -> bool:
    return more != less and all(a >= b for a, b in zip(more, less, strict=True))
