"""Constraint families on what is billed: offer, stock, max_gpus, budget, power, cap."""

from __future__ import annotations

from collections.abc import Mapping

from planner.fleet.program.linear_program import Family, combine
from planner.fleet.program.variables import Columns


def offer(columns: Columns) -> None:
    """No more nodes of an offer than it has."""
    for o in columns.problem.offers:
        if o.max_nodes is not None:
            _cap(columns, "offer", (o.key,), {o.key: 1.0}, float(o.max_nodes))


def stock(columns: Columns) -> None:
    """GPUs billed of a type within its stock."""
    for gpu, most in columns.problem.limits.stock.items():
        sizes = {o.key: float(o.gpus_per_node) for o in columns.problem.offers if o.gpu == gpu}
        _cap(columns, "stock", (gpu,), sizes, float(most))


def max_gpus(columns: Columns) -> None:
    """GPUs billed within the limit."""
    most = columns.problem.limits.max_gpus
    if most is not None:
        sizes = {o.key: float(o.gpus_per_node) for o in columns.problem.offers}
        _cap(columns, "max_gpus", (), sizes, float(most))


def budget(columns: Columns) -> None:
    """What is paid per hour within the budget."""
    most = columns.problem.limits.max_usd_per_hour
    if most is not None:
        prices = {o.key: o.usd_per_hour for o in columns.problem.offers}
        _cap(columns, "budget", (), prices, most, overlap=False)


def power(columns: Columns) -> None:
    """Power of the billed nodes within the limit."""
    most = columns.problem.limits.max_power_kw
    if most is not None:
        _cap(columns, "power", (), {o.key: o.power_kw for o in columns.problem.offers}, most)


def cap(columns: Columns) -> None:
    """Quotas by region or provider, carbon: a weighted count of billed nodes within a limit."""
    for c in columns.problem.limits.caps:
        _cap(columns, "cap", (c.key,), c.per_node, c.limit)


def _cap(
    columns: Columns,
    family: Family,
    key: tuple[str, ...],
    weights: Mapping[str, float],
    most: float,
    *,
    overlap: bool = True,
) -> None:
    """One row per period; in the first, nodes on their way out count besides where ``overlap``."""
    for t in columns.problem.periods:
        terms = columns.billed(t, weights)
        if overlap and t == 0:
            leaving = {i: weights[o] for o, i in columns.removed.items() if o in weights}
            terms = combine((1.0, terms), (1.0, leaving))
        columns.model.row(family, (*key, t), terms, "<=", most)
