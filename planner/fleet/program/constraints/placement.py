"""Constraint families on where replicas stand: packing, pattern, cut.

``planner.fleet.program.program`` states them; ``packing`` says when counting GPUs is exact.
"""

from __future__ import annotations

from planner.fleet.program.linear_program import combine, total
from planner.fleet.program.packing import (
    Site,
    cuts,
    group_gpus,
    nested,
    patterns,
    share_of,
    shares,
)
from planner.fleet.program.variables import Columns


def packing(columns: Columns, cut: dict[tuple[Site, int], dict[int, float]]) -> None:
    """Groups of a size or larger find their GPUs in nodes that reach it; where sizes nest."""
    for e in columns.sites:
        if not counted(columns, e):
            continue
        sizes = _group_sizes(columns, e)
        shapes = columns.shapes(e)
        for before, size in zip((0, *sizes), sizes, strict=False):
            reaching = [s for s in shapes if s.reach >= size]
            if before and reaching == [s for s in shapes if s.reach >= before]:
                continue
            for t in columns.problem.periods:
                used = combine(
                    *(
                        (float(group_gpus(k, size)), columns.replicas[k.key, e, t])
                        for k in columns.tenants[e]
                    ),
                    (1.0, cut.get((e, t), {}) if size == 1 else {}),
                )
                room = combine(*((float(s.gpus), columns.room(e, t, s)) for s in reaching))
                terms = combine((1.0, used), (-1.0, room))
                columns.model.row("packing", (e, size, t), terms, "<=", 0.0)


def counted(columns: Columns, e: Site) -> bool:
    """Whether counting GPUs is exact at a site, and enough for what may fail there."""
    return not columns.problem.resilience.nodes and nested(
        _group_sizes(columns, e), columns.shapes(e)
    )


def pattern(columns: Columns, cut: dict[tuple[Site, int], dict[int, float]]) -> None:
    """Where sizes do not nest, each group takes a slot of its size in a node filled by a pattern."""
    for e in columns.sites:
        if counted(columns, e) or columns.problem.resilience.nodes:
            continue
        sizes = _group_sizes(columns, e)
        for t in columns.problem.periods:
            slots: dict[int, dict[int, float]] = {g: {} for g in sizes}
            for shape in columns.shapes(e):
                filled: dict[int, float] = {}
                for p in patterns(sizes, shape):
                    column = columns.model.integer("pattern", e, p, t)
                    filled[column] = float(p.nodes)
                    for size, count in p.slots:
                        slots[size][column] = float(count)
                terms = combine((1.0, filled), (-1.0, columns.room(e, t, shape)))
                columns.model.row("pattern", (e, shape, t), terms, "<=", 0.0)
            for size in sizes:
                groups = combine(
                    *(
                        (float(k.groups.count(size)), columns.replicas[k.key, e, t])
                        for k in columns.tenants[e]
                    ),
                    (1.0, cut.get((e, t), {}) if size == 1 else {}),
                )
                terms = combine((1.0, groups), (-1.0, slots[size]))
                columns.model.row("pattern", (e, size, t), terms, "<=", 0.0)


def cut(columns: Columns) -> dict[tuple[Site, int], dict[int, float]]:
    """Replicas on a share of a GPU are on GPUs cut by a pattern of shares; returns the GPUs cut."""
    gpus: dict[tuple[Site, int], dict[int, float]] = {}
    if columns.problem.resilience.nodes:
        return gpus  # mixtures say what is in each node
    for e, kinds in columns.tenants.items():
        sizes, parts = shares(kinds)
        if not sizes:
            continue
        ways = cuts(sizes, parts)
        for t in columns.problem.periods:
            column_of = {way: columns.model.integer("cut", e, way, t) for way in ways}
            gpus[e, t] = dict.fromkeys(column_of.values(), 1.0)
            for position, size in enumerate(sizes):
                running = total(
                    columns.replicas[k.key, e, t]
                    for k in kinds
                    if k.gpu_share < 1 and share_of(k) == size
                )
                slots = {i: float(way[position]) for way, i in column_of.items()}
                terms = combine((1.0, running), (-1.0, slots))
                columns.model.row("cut", (e, size, t), terms, "<=", 0.0)
    return gpus


def _group_sizes(columns: Columns, e: Site) -> tuple[int, ...]:
    kinds = columns.tenants[e]
    single = {1} if any(k.gpu_share < 1 for k in kinds) else set()
    return tuple(sorted(single | {g for k in kinds for g in k.groups}))
