"""Constraint family knapsack: what covering a demand costs at least, in whole replicas, at given prices.

The relaxation covers a demand with fractions of replicas. At the prices its own dual values put on GPUs,
the cheapest whole cover is a small knapsack, solved here exactly; no whole fleet covers the demand
for less. Stating that closes much of the gap before the search begins, and excludes no fleet.
"""

from __future__ import annotations

import math
from dataclasses import replace

from planner.fleet.columns import Columns
from planner.fleet.linear import LinearProgram, Row, Terms, value
from planner.fleet.solver import Effort, relaxation

ROUNDS = 3
MOST_NODES = 4000  # of the search for one knapsack, before it is given up
LEAST = 1e-5  # relative violation worth a row
OWN = ("cover", "knapsack")


def tighten(columns: Columns, objective: Terms, effort: Effort) -> None:
    """Add knapsack rows for every demand that is covered, as long as the relaxation violates them."""
    model = columns.model
    covers = [r for r in model.rows if r.family == "cover" and not columns.short]
    for number in range(ROUNDS):
        relaxed = LinearProgram([replace(c, integer=False) for c in model.columns], model.rows)
        found = relaxation(relaxed, objective, effort)
        if found is None:
            return
        values, duals = found
        prices = dict(objective)
        for row, dual in zip(model.rows, duals, strict=True):
            if row.family not in OWN and dual:
                for i, c in row.terms.items():
                    prices[i] = prices.get(i, 0.0) - dual * c
        added = sum(_add(model, row, number, prices, values) for row in covers)
        if not added:
            return


def _add(model: LinearProgram, row: Row, number: int, prices: Terms, values: list[float]) -> bool:
    own = {i: max(prices.get(i, 0.0), 0.0) for i in row.terms}
    if min(own.values(), default=0.0) <= 1e-9:
        return False
    least = cheapest_cover([(own[i], c) for i, c in row.terms.items()], row.right)
    if least is None or value(own, values) >= least * (1 - LEAST):
        return False
    model.row("knapsack", (*row.key, number), {i: p / least for i, p in own.items()}, ">=", 1.0)
    return True


def cheapest_cover(kinds: list[tuple[float, float]], need: float) -> float | None:
    """The least total price of whole numbers of (price, capacity) that reach ``need``.

    None where the search would take too long. Prices and capacities are above 0.
    """
    order = sorted(kinds, key=lambda k: k[0] / k[1])
    best = min(price * math.ceil(need / size - 1e-9) for price, size in order)
    steps = 0

    def search(position: int, left: float, paid: float) -> None:
        nonlocal best, steps
        steps += 1
        if steps > MOST_NODES:
            return
        if left <= 1e-9 * need:
            best = min(best, paid)
            return
        if position == len(order):
            return
        price, size = order[position]
        if paid + left * price / size >= best - 1e-12:
            return
        for count in range(math.ceil(left / size - 1e-9), -1, -1):
            search(position + 1, left - count * size, paid + count * price)

    search(0, need, 0.0)
    return best if steps <= MOST_NODES else None
