"""The smallest set of members that cannot hold together, by asking which sets can.

Every set whose removal restores feasibility must hit every conflict, so the smallest set that hits
all removals found so far is a candidate; when it is infeasible it is the answer, otherwise it yields
one more removal (implicit hitting sets; Ignatiev, Previti, Liffiton and Marques-Silva 2015, "Smallest
MUS extraction with minimal hitting set dualization").
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence


def smallest_conflict(
    everything: frozenset[int],
    may_hold: Callable[[frozenset[int]], bool],
    first: frozenset[int] = frozenset(),
    at_the_end: Callable[[], frozenset[int] | None] = lambda: None,
) -> frozenset[int]:
    """Return the fewest members that cannot hold together; empty when none holds even alone.

    ``may_hold(kept)`` must be monotone: what holds together still holds after dropping some.
    ``first``: members that are kept before others as removals are looked for. Of conflicts of one
    size the first in order is returned, whatever removals are found.
    ``at_the_end()``: a conflict to return, larger than need be, once there is no time for more.
    Raises ValueError when everything holds together.
    """
    order = [*sorted(first), *sorted(everything - first)]
    removals: list[frozenset[int]] = []
    while (hurried := at_the_end()) is None:
        candidate = next(_hitting_sets(everything, removals))
        if not may_hold(candidate):
            return candidate
        removals.append(everything - grown(candidate, order, may_hold))
        if not removals[-1]:
            raise ValueError("everything holds together: there is no conflict")
    return hurried


def grown(
    start: frozenset[int], others: Sequence[int], holds: Callable[[frozenset[int]], bool]
) -> frozenset[int]:
    """Add ``others`` to ``start`` one by one, in order, for as long as all still hold together."""
    if holds(start.union(others)):
        return start.union(others)
    kept = start
    for i in others:
        if i not in kept and holds(kept | {i}):
            kept |= {i}
    return kept


def _hitting_sets(
    everything: frozenset[int], sets: Sequence[frozenset[int]]
) -> Iterator[frozenset[int]]:
    """Yield sets that meet every one of ``sets``, smallest first."""
    for size in range(len(everything) + 1):
        for chosen in itertools.combinations(sorted(everything), size):
            if all(not s.isdisjoint(chosen) for s in sets):
                yield frozenset(chosen)
