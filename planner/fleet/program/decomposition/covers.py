"""Whole covers: replicas of several kinds that carry one demand in one period, and the cheapest of them.

At given prices per replica this is a small knapsack, solved exactly by branch and bound over kinds in
order of price per capacity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MOST_NODES = 20_000  # of the search for one cover, before it is given up
EQUAL = 1e-9  # relative: a need this nearly met is met

Cover = tuple[tuple[int, int], ...]  # (column, replicas), by column


@dataclass(frozen=True, slots=True)
class CheapestCover:
    """The cheapest cover found, its price, and a bound no cover is below (equal when proved)."""

    cover: Cover
    price: float
    bound: float


def cheapest_cover(kinds: Sequence[tuple[int, float, float]], need: float) -> CheapestCover:
    """The cheapest whole numbers of (column, price, capacity) whose capacities reach ``need``.

    Prices are at least 0, capacities above 0. Where the search would take too long the bound is that of
    fractions of replicas.
    """
    order = sorted(kinds, key=lambda k: (k[1] / k[2], -k[2]))
    counts = [math.ceil(need / size - EQUAL) for _, _, size in order]
    alone = min(range(len(order)), key=lambda i: order[i][1] * counts[i])
    best = order[alone][1] * counts[alone]
    found = {alone: counts[alone]}
    chosen = [0] * len(order)
    steps = 0

    def search(position: int, left: float, paid: float) -> None:
        nonlocal best, found, steps
        steps += 1
        if steps > MOST_NODES:
            return
        if left <= EQUAL * need:
            if paid < best - 1e-12:
                best, found = paid, {i: n for i, n in enumerate(chosen) if n}
            return
        if position == len(order):
            return
        _, price, size = order[position]
        if paid + left * price / size >= best - 1e-12:
            return
        for count in range(math.ceil(left / size - EQUAL), -1, -1):
            chosen[position] = count
            search(position + 1, left - count * size, paid + count * price)
        chosen[position] = 0

    search(0, need, 0.0)
    cover = tuple(sorted((order[i][0], n) for i, n in found.items()))
    least = order[0][1] / order[0][2] * need
    return CheapestCover(cover, best, best if steps <= MOST_NODES else min(best, least))
