"""What one node may hold where nodes may fail: sets of replicas, by kind, that go together when it does.

Replicas on a share of a GPU are on GPUs cut among them. A replica larger than a node takes nodes of
its own and is lost with any of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from planner.fleet.program.packing import Shape, share_of
from planner.fleet.program.problem import ReplicaKind


@dataclass(frozen=True, slots=True)
class Mixture:
    """Replicas by kind that fill one node, or one replica that takes ``nodes`` of its own."""

    replicas: tuple[tuple[str, int], ...]
    nodes: int = 1


@dataclass(frozen=True, slots=True)
class Listed:
    """Mixtures of a node; ``whole``: whether every one is there."""

    mixtures: tuple[Mixture, ...]
    whole: bool


def mixtures(kinds: Sequence[ReplicaKind], shape: Shape, most: int) -> Listed:
    """Every non-empty set of replicas that fits into one node, and every replica that takes several.

    Where there are more than ``most``, only those of the fewest kinds are kept, single kinds always.
    """
    able = tuple(k for k in kinds if k.gpus <= shape.gpus)
    spread = tuple(k for k in kinds if k.gpus > shape.gpus and max(k.groups) <= shape.reach)
    found = [Mixture(((k.key, 1),), nodes_of_its_own(k, shape)) for k in spread]
    for width in range(1, len(able) + 1):
        more: list[Mixture] = []
        for chosen in itertools.combinations(able, width):
            more += _filled(chosen, shape.gpus)
            if width > 1 and len(found) + len(more) > most:
                return Listed(tuple(found), whole=False)
        if not more:
            break
        found += more
    return Listed(tuple(found), whole=True)


def nodes_of_its_own(kind: ReplicaKind, shape: Shape) -> int:
    """Nodes that a replica larger than one takes: whole ones for wide groups, the others packed."""
    wide = sum(shape.nodes_for(g) for g in kind.groups if g > shape.gpus)
    return wide + bins([Fraction(g, shape.gpus) for g in kind.groups if g <= shape.gpus])


def bins(sizes: Iterable[Fraction]) -> int:
    """Bins of 1 that hold ``sizes``, the largest first into the first with room.

    As few as can be where sizes divide one another.
    """
    rooms: list[Fraction] = []
    for size in sorted(sizes, reverse=True):
        place = next((i for i, room in enumerate(rooms) if room >= size), None)
        if place is None:
            rooms.append(1 - size)
        else:
            rooms[place] -= size
    return len(rooms)


def _filled(kinds: tuple[ReplicaKind, ...], gpus: int) -> Iterator[Mixture]:
    """Counts of at least one of each kind that fit into a node together."""
    shares = [share_of(k) for k in kinds]

    def used(counts: Sequence[int]) -> int:
        pairs = list(zip(shares, kinds, counts, strict=False))
        cut = [share for share, _, n in pairs if share < 1 for _ in range(n)]
        return bins(cut) + sum(k.gpus * n for share, k, n in pairs if share == 1)

    def fill(counts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        position = len(counts)
        if position == len(kinds):
            yield counts
            return
        share = shares[position]
        most = gpus * math.floor(1 / share) if share < 1 else gpus // kinds[position].gpus
        for count in range(1, most + 1):
            if used((*counts, count)) > gpus:
                break
            yield from fill((*counts, count))

    for counts in fill(()):
        yield Mixture(tuple((k.key, n) for k, n in zip(kinds, counts, strict=True)))
