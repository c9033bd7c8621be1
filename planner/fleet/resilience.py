"""Constraint families on failures: mixture, exists, survive, reroute, withstand.

One sort of thing may fail at a time (replicas, nodes, zones, or spot pools), so many of it at once,
wherever that hurts most. Each thing that may fail is an ``Atom``: the replicas of each kind that go
with it. A demand that its kinds serve alone must be covered after the worst losses, which needs no
routing: the worst k losses sum to ``min k a + sum_i max(0, loss_i - a)`` over a level a (Bertsimas and
Sim 2004, "The price of robustness"). Demands that share kinds get a routing of their own per failure.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from planner.fleet.carrying import covered, limit
from planner.fleet.columns import Columns
from planner.fleet.linear import Terms, combine, total
from planner.fleet.packing import Site, mixtures

MOST_MIXTURES = 3000  # ways to fill a node with replicas before kinds are kept apart


@dataclass(frozen=True, slots=True)
class Atom:
    """Something that fails as a whole: a name, and the replicas of each kind lost with it."""

    name: str
    lost: Mapping[str, Terms]


def mixture(columns: Columns) -> dict[tuple[Site, int], list[tuple[int, dict[str, int]]]]:
    """Where nodes may fail, replicas stand in nodes filled one way or another; (column, replicas)."""
    found: dict[tuple[Site, int], list[tuple[int, dict[str, int]]]] = {}
    if not columns.problem.resilience.nodes:
        return found
    for e, kinds in columns.tenants.items():
        for t in columns.problem.periods:
            ways = found.setdefault((e, t), [])
            for shape in columns.shapes(e):
                filled: dict[int, float] = {}
                for way in mixtures(tuple(kinds), shape, MOST_MIXTURES):
                    column = columns.model.integer("mixture", e, shape, way, t)
                    ways.append((column, dict(way)))
                    filled[column] = 1.0
                terms = combine((1.0, filled), (-1.0, columns.room(e, t, shape)))
                columns.model.row("mixture", (e, shape, t), terms, "<=", 0.0)
            for kind in kinds:
                standing = {i: float(way[kind.key]) for i, way in ways if kind.key in way}
                terms = combine((1.0, columns.replicas[kind.key, e, t]), (-1.0, standing))
                columns.model.row("mixture", (e, kind.key, t), terms, "==", 0.0)
    return found


def withstand(columns: Columns) -> None:
    """Write the failures the problem asks to survive."""
    lost = columns.problem.resilience
    ways = mixture(columns)
    for t in columns.problem.periods:
        if lost.replicas:
            _survive(columns, t, "replicas", lost.replicas, _replicas(columns, t, lost.replicas))
        if lost.nodes:
            _survive(columns, t, "nodes", lost.nodes, _nodes(columns, t, lost.nodes, ways))
        if lost.zones:
            _survive(columns, t, "zones", lost.zones, _sites(columns, t, "zone"))
        if lost.spot_pools:
            _survive(columns, t, "spot_pools", lost.spot_pools, _sites(columns, t, "pool"))


def _replicas(columns: Columns, t: int, most: int) -> list[Atom]:
    """One atom per kind and copy; the j-th copy exists when at least j replicas run."""
    atoms = []
    for kind in columns.problem.kinds:
        if columns.services.users[kind.key] & columns.services.one_kind:
            continue
        for copy in range(1, most + 1):
            running = columns.running(kind, t)
            there = _exists(columns, (kind.key, t, copy), running, copy, limit(columns, kind, t))
            atoms.append(Atom(f"{kind.key} {copy}", {kind.key: {there: 1.0}}))
    return atoms


def _nodes(
    columns: Columns,
    t: int,
    most: int,
    ways: Mapping[tuple[Site, int], list[tuple[int, dict[str, int]]]],
) -> list[Atom]:
    """One atom per way a node is filled, and copy."""
    kinds = {k.key: k for k in columns.problem.kinds}
    atoms = []
    for (e, period), filled in ways.items():
        if period != t:
            continue
        for column, way in filled:
            most_nodes = max(limit(columns, kinds[kind], t) for kind in way)
            for copy in range(1, most + 1):
                count = {column: 1.0}
                there = _exists(columns, (e, column, copy), count, copy, most_nodes)
                lost = {kind: {there: float(n)} for kind, n in way.items()}
                atoms.append(Atom(f"node {column} {copy}", lost))
    return atoms


def _exists(columns: Columns, key: tuple[Hashable, ...], count: Terms, copy: int, most: int) -> int:
    """A binary that must be 1 when ``count`` (never above ``most``) is at least ``copy``."""
    there = columns.model.binary("exists", *key)
    terms = combine((1.0, count), (-float(most), {there: 1.0}))
    columns.model.row("exists", key, terms, "<=", float(copy - 1))
    return there


def _sites(columns: Columns, t: int, attribute: str) -> list[Atom]:
    """One atom per zone, or per spot pool: all replicas that stand there."""
    names = sorted({getattr(e, attribute) for e in columns.sites} - {""})
    return [
        Atom(
            name,
            {
                k.key: total(
                    columns.replicas[k.key, e, t]
                    for e in columns.hosts[k.key]
                    if getattr(e, attribute) == name
                )
                for k in columns.problem.kinds
            },
        )
        for name in names
    ]


def _survive(columns: Columns, t: int, sort: str, most: int, atoms: list[Atom]) -> None:
    """Every demand holds after ``most`` of ``atoms`` fail at once."""
    kinds = {k.key: k for k in columns.problem.kinds}
    for (g, d), chosen in columns.choices.items():
        if g in columns.services.one_kind and sort != "replicas":
            need = {chosen: -float(columns.services.alone(g, kinds[d], t) or 0)}
            losses = [(a.name, a.lost[d]) for a in atoms if a.lost.get(d)]
            left = combine((1.0, columns.running(kinds[d], t)), (1.0, need))
            _less_the_worst(columns, (sort, d, t), left, losses, most, 0.0)
    for s in columns.problem.demands:
        alone = s.service not in columns.services.one_kind and not columns.is_routed(s.key)
        if alone and s.rates_qps[t] > 0:
            each = {
                k.key: k.capacity_qps[s.key] / s.rates_qps[t]
                for k in columns.services.kinds_of[s.service]
            }
            losses = [
                (a.name, combine(*((each[d], n) for d, n in a.lost.items() if d in each)))
                for a in atoms
            ]
            left = combine((1.0, covered(columns, s.key, t)), (1.0, columns.unserved(s.key, t)))
            _less_the_worst(columns, (sort, s.key, t), left, losses, most, 1.0)
    if any(columns.is_routed(s.key) for s in columns.problem.demands):
        for number, failed in enumerate(_together(atoms, most)):
            _route_after(columns, t, (sort, number), failed)


def _less_the_worst(
    columns: Columns,
    key: tuple[Hashable, ...],
    left: Terms,
    losses: Sequence[tuple[str, Terms]],
    most: int,
    need: float,
) -> None:
    """Family survive: ``left`` less the worst ``most`` of ``losses`` is at least ``need``."""
    losses = [(name, loss) for name, loss in losses if loss]
    if most == 1:
        for name, loss in losses:
            terms = combine((1.0, left), (-1.0, loss))
            columns.model.row("survive", (*key, name), terms, ">=", need)
        return
    level = columns.model.continuous("level", *key)
    worst: dict[int, float] = {level: float(most)}
    for name, loss in losses:
        beyond = columns.model.continuous("beyond", *key, name)
        worst[beyond] = 1.0
        terms = combine((1.0, loss), (-1.0, {level: 1.0, beyond: 1.0}))
        columns.model.row("survive", (*key, name), terms, "<=", 0.0)
    columns.model.row("survive", key, combine((1.0, left), (-1.0, worst)), ">=", need)


def _together(atoms: list[Atom], most: int) -> Iterator[tuple[Atom, ...]]:
    """Every set of atoms that may fail at once."""
    yield from itertools.combinations(atoms, min(most, len(atoms)))


def _route_after(
    columns: Columns, t: int, failure: tuple[str, int], failed: tuple[Atom, ...]
) -> None:
    """Family reroute: a routing of its own carries every shared demand on what survives."""
    load: dict[str, dict[int, float]] = {}
    kinds = {k.key: k for k in columns.problem.kinds}
    for s in columns.problem.demands:
        if not columns.is_routed(s.key) or s.rates_qps[t] <= 0:
            continue
        shares: dict[int, float] = {}
        for d, _ in columns.shares_of(s.key, t):
            again = columns.model.continuous("share after", *failure, s.key, d, t, high=1.0)
            shares[again] = 1.0
            rate = s.rates_qps[t] / kinds[d].capacity_qps[s.key]
            load.setdefault(d, {})[again] = rate
            chosen = columns.choices.get((s.service, d))
            if chosen is not None:
                terms = {again: 1.0, chosen: -1.0}
                columns.model.row("reroute", (*failure, s.key, d, t), terms, "<=", 0.0)
        parts = combine((1.0, shares), (1.0, columns.unserved(s.key, t)))
        columns.model.row("reroute", (*failure, s.key, t), parts, "==", 1.0)
    for d, terms in load.items():
        left = combine(
            (1.0, terms),
            (-1.0, columns.running(kinds[d], t)),
            *((1.0, atom.lost[d]) for atom in failed if d in atom.lost),
        )
        columns.model.row("reroute", (*failure, d, t), left, "<=", 0.0)
