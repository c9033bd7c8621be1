"""Constraint families on failures: mixture, exists, survive, withstand.

One sort of thing may fail at a time (replicas, nodes, zones, or spot pools), so many of it at once,
wherever that hurts most: each sort is lost from the whole fleet, spared replicas included. Each thing that
may fail is an ``Atom``: the replicas of each kind that go with it. A demand that its kinds serve alone must
be covered after the worst losses, which needs no routing: the worst k losses sum to ``min k a + sum_i
max(0, loss_i - a)`` over a level a (Bertsimas and Sim 2004, "The price of robustness"). Demands that share
kinds are covered together at prices that show where routing would fail (``rerouting``), so that losses are
never listed set by set.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from planner.fleet.program.constraints.demand import covered, limit
from planner.fleet.program.constraints.failure_routing import (
    FailurePrices,
    broken,
    first_prices,
    left_over,
    taken,
    worth,
)
from planner.fleet.program.failure_domains import Atom, Failure
from planner.fleet.program.linear_program import Terms, combine, total
from planner.fleet.program.mixtures import mixtures
from planner.fleet.program.packing import Shape, Site
from planner.fleet.program.problem import ReplicaKind
from planner.fleet.program.solver import SolverLimits
from planner.fleet.program.variables import Columns

MOST_MIXTURES = 3000  # ways to fill a node with replicas before kinds are kept apart

Ways = dict[tuple[Site, int], list[tuple[int, dict[str, int]]]]  # columns and their replicas


def mixture(columns: Columns) -> Ways:
    """Where nodes may fail, replicas are in nodes filled one way or another; (column, replicas)."""
    found: Ways = {}
    if not columns.problem.resilience.nodes:
        return found
    for e, kinds in columns.tenants.items():
        for t in columns.problem.periods:
            ways = found.setdefault((e, t), [])
            for shape in columns.shapes(e):
                filled: dict[int, float] = {}
                listed = mixtures(kinds, shape, MOST_MIXTURES)
                if not listed.whole:
                    columns.restrictions.add(_restricted(e, shape))
                for way in listed.mixtures:
                    column = columns.model.integer("mixture", e, shape, way, t)
                    ways.append((column, dict(way.replicas)))
                    filled[column] = float(way.nodes)
                terms = combine((1.0, filled), (-1.0, columns.room(e, t, shape)))
                columns.model.row("mixture", (e, shape, t), terms, "<=", 0.0)
            for kind in kinds:
                running = {i: float(way[kind.key]) for i, way in ways if kind.key in way}
                terms = combine((1.0, columns.replicas[kind.key, e, t]), (-1.0, running))
                columns.model.row("mixture", (e, kind.key, t), terms, "==", 0.0)
    return found


def _restricted(e: Site, shape: Shape) -> str:
    return (
        f"nodes of {shape.gpus} {e.gpu}: more than {MOST_MIXTURES} ways to fill one, so that only those of "
        "the fewest kinds were looked at; the optimum is proved among fleets filled that way"
    )


def withstand(columns: Columns) -> None:
    """Write the failures the problem asks to survive."""
    ways = mixture(columns)
    for t in columns.problem.periods:
        for failure in _failures(columns, t, ways):
            columns.failures.append(failure)
            _survive(columns, failure)


def _failures(columns: Columns, t: int, ways: Ways) -> Iterator[Failure]:
    lost = columns.problem.resilience
    if lost.replicas:
        yield Failure("replicas", t, lost.replicas, _replicas(columns, t, lost.replicas))
    if lost.nodes:
        yield Failure("nodes", t, lost.nodes, _nodes(columns, t, lost.nodes, ways))
    if lost.zones:
        yield Failure("zones", t, lost.zones, _sites(columns, t, "zone"))
    if lost.spot_pools:
        yield Failure("spot_pools", t, lost.spot_pools, _sites(columns, t, "pool"))


def withstand_more(columns: Columns, values: list[float], effort: SolverLimits) -> bool:
    """Add rows for the failures that break the fleet ``values`` describe; whether there were any."""
    added = list(broken(columns, values, effort))
    for failure, prices in added:
        _survive_at(columns, failure, prices)
    return bool(added)


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
    ways: Ways,
) -> list[Atom]:
    """One atom per way a node is filled, and copy."""
    kinds = {k.key: k for k in columns.problem.kinds}
    atoms = []
    for (e, period), filled in ways.items():
        if period != t:
            continue
        for column, way in filled:
            units = {columns.unit_of.get(kind, kind): n for kind, n in way.items()}
            most_nodes = max(limit(columns, kinds[kind], t) for kind in units)
            for copy in range(1, most + 1):
                count = {column: 1.0}
                there = _exists(columns, (e, column, copy), count, copy, most_nodes)
                lost = {kind: {there: float(n)} for kind, n in units.items()}
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
                k.key: total(_standing(columns, k, t, attribute, name))
                for k in columns.problem.kinds
            },
        )
        for name in names
    ]


def _standing(
    columns: Columns, kind: ReplicaKind, t: int, attribute: str, name: str
) -> Iterator[Terms]:
    """Replicas at the sites of a zone or a spot pool; of units on two GPU types, those with either pool.

    A zone holds both pools of a unit, which is lost once.
    """
    pool = columns.other_pools.get(kind.key)
    for one in (kind,) if pool is None or attribute == "zone" else (kind, pool):
        for e in columns.hosts[one.key]:
            if getattr(e, attribute) == name:
                yield columns.replicas[one.key, e, t]


def _survive(columns: Columns, failure: Failure) -> None:
    """Every demand that cannot wait holds after the failure, wherever it strikes."""
    kinds = {k.key: k for k in columns.problem.kinds}
    sort, t, most, atoms = failure.sort, failure.t, failure.most, failure.atoms
    for (g, d), chosen in columns.choices.items():
        if columns.services.is_deferrable(g):
            continue
        if g in columns.services.one_kind and sort != "replicas":
            need = {chosen: -float(columns.services.needed(g, kinds[d], t) or 0)}
            losses = [(a.name, a.lost[d]) for a in atoms if a.lost.get(d)]
            left = combine((1.0, columns.running(kinds[d], t)), (1.0, need))
            _less_the_worst(columns, (sort, d, t), left, losses, most, 0.0)
    for s in columns.problem.demands:
        alone = s.service not in columns.services.one_kind and not columns.is_routed(s.key)
        if alone and s.rates_qps[t] > 0 and not s.deferrable:
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
    for prices in first_prices(columns, t):
        _survive_at(columns, failure, prices)


def _survive_at(columns: Columns, failure: Failure, prices: FailurePrices) -> None:
    """At these prices, what is left after the worst losses is worth what the shared demands are."""
    number = len(columns.model.rows)
    losses = [(a.name, taken(prices, a.lost)) for a in failure.atoms]
    left = left_over(columns, failure.t, prices)
    key = (failure.sort, "shared", failure.t, number)
    _less_the_worst(columns, key, left, losses, failure.most, worth(prices))


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
