"""From the solver's numbers back to replicas, nodes and routed requests."""

from __future__ import annotations

from dataclasses import replace

from planner.fleet.program.constraints.migration import overlap_node_hours
from planner.fleet.program.linear_program import value
from planner.fleet.program.problem import Demand, Solution
from planner.fleet.program.standby import with_none_idle
from planner.fleet.program.variables import Columns


def read_solution(columns: Columns, values: list[float], text: Solution) -> Solution:
    """``text`` with the fleet that ``values`` describe; zero counts are left out."""
    problem = columns.problem
    unused = _not_picked(columns, values)
    replicas = {
        (k.key, t): count
        for k in problem.kinds
        if k.key not in unused
        for t in problem.periods
        if (count := round(value(columns.running(k, t), values)))
    }
    billed = {
        (o.key, t): count
        for o in problem.offers
        for t in problem.periods
        if (count := round(value(columns.billed(t, {o.key: 1.0}), values)))
    }
    unserved = {
        (s.key, t): s.rates_qps[t] * values[column]
        for s in problem.demands
        for t in problem.periods
        if (column := columns.short.get((s.key, t))) is not None and values[column] > 1e-9
    }
    routed = {
        key: rate
        for s in problem.demands
        for t in problem.periods
        for key, rate in _routed(columns, values, s, t, replicas, unserved.get((s.key, t), 0.0))
        if rate > 1e-12 * s.rates_qps[t]
    }
    found = replace(
        text,
        replicas=replicas,
        nodes={(o, "", t): count for (o, t), count in billed.items()},
        billed=billed,
        routed_qps=routed,
        unserved_qps=unserved,
        overlap_node_hours=overlap_node_hours(columns, values),
    )
    return with_none_idle(problem, found)


def _not_picked(columns: Columns, values: list[float]) -> frozenset[str]:
    """Kinds that their service did not pick, where it picks one for itself.

    A search that is stopped early may leave replicas of them on nodes that are paid anyway.
    """
    return frozenset(
        key
        for (service, key), chosen in columns.choices.items()
        if service in columns.services.one_kind and values[chosen] < 0.5
    )


def _routed(
    columns: Columns,
    values: list[float],
    s: Demand,
    t: int,
    replicas: dict[tuple[str, int], int],
    unserved: float,
) -> list[tuple[tuple[str, str, int], float]]:
    """The demand's rate per kind: by its shares, or in proportion to capacity where it is covered."""
    rate = s.rates_qps[t]
    if columns.is_routed(s.key):
        return [((s.key, d, t), rate * values[i]) for d, i in columns.shares_of(s.key, t)]
    offered = {
        k.key: replicas.get((k.key, t), 0) * k.capacity_qps.get(s.key, 0.0)
        for k in columns.services.kinds_of[s.service]
    }
    together = sum(offered.values())
    if together <= 0:
        return []
    return [((s.key, d, t), (rate - unserved) * c / together) for d, c in offered.items()]
