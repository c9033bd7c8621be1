"""Constraint family spot: how much of what serves may be taken away, spot.max_share.

    spot      GPUs that replicas take on spot nodes <= share of GPUs that replicas take, in every period

A part of a GPU counts as that part. Idle GPUs and idle nodes do not count, of any type. Nor may replicas
that nothing needs lower the share: on nodes that stay, a service that picks one kind runs no more than it
needs alone, and one that mixes kinds none without which the rest would still carry its rate:

    sum_(e stays) n[d,e,t] <= (N[d,t] + f1) y[g,d]
    sum_d cap[s,d] n[d,t] < rate[s,t] + cap[s,d]  for each d that runs on nodes that stay

Where spot pools may be lost the second counts what is on nodes that stay alone; where zones or nodes may
be lost, or kinds are shared between demands, only the replicas of each kind are bounded.
"""

from __future__ import annotations

from planner.fleet.program.constraints.demand import limit
from planner.fleet.program.linear_program import combine, total
from planner.fleet.program.packing import Site
from planner.fleet.program.problem import Demand, ReplicaKind
from planner.fleet.program.variables import Columns

CLOSE = 1e-5  # of a rate: a fleet this near to doing without a replica does without it


def spot(columns: Columns) -> None:
    """GPUs in use on spot nodes are at most a share of the GPUs in use."""
    share = columns.problem.limits.max_spot_share
    if share is None:
        return
    for t in columns.problem.periods:
        terms = combine(
            *(
                ((1.0 - share if e.spot else -share) * k.own_gpus, columns.replicas[k.key, e, t])
                for e, kinds in columns.tenants.items()
                for k in kinds
            )
        )
        columns.model.row("spot", (t,), terms, "<=", 0.0)
    if not any(e.spot for e in columns.sites):
        return
    for g, demands in columns.services.demands.items():
        for t in columns.problem.periods:
            if g in columns.services.one_kind:
                _one_kind(columns, g, t)
                continue
            for s in demands:
                if s.rates_qps[t] > 0 and not columns.is_routed(s.key):
                    _mixed(columns, s, t)
    for kind in columns.problem.kinds:
        if not columns.services.users[kind.key] & columns.services.one_kind:
            for t in columns.problem.periods:
                most = float(limit(columns, kind, t))
                columns.model.row("spot", (kind.key, t), _steady(columns, kind, t), "<=", most)


def _one_kind(columns: Columns, g: str, t: int) -> None:
    """Only the kind picked runs; on nodes that stay, no more of it than the service needs alone."""
    lost = columns.problem.resilience
    for kind in columns.services.kinds_of[g]:
        chosen = columns.choices.get((g, kind.key))
        if chosen is None or not columns.placed(kind):
            continue
        need = float(columns.services.running(g, kind, t) or 0)
        most = float(limit(columns, kind, t)) + lost.replicas
        bounds = [(columns.running(kind, t), most if lost.by_place else need)]
        if not (lost.nodes or lost.zones):
            bounds.append((_steady(columns, kind, t), need))
        for i, (running, bound) in enumerate(bounds):
            terms = combine((1.0, running), (-bound, {chosen: 1.0}))
            columns.model.row("spot", (g, kind.key, i, t), terms, "<=", 0.0)


def _mixed(columns: Columns, s: Demand, t: int) -> None:
    """None of the replicas on nodes that stay could be left out, as long as nothing is lost."""
    lost = columns.problem.resilience
    if lost.nodes or lost.zones or lost.replicas:
        return
    rate = s.rates_qps[t]
    kinds = [
        k
        for k in columns.services.kinds_of[s.service]
        if any(not e.spot for e in columns.hosts[k.key])
    ]
    if not kinds:
        return
    every = columns.services.kinds_of[s.service]
    worth = {k.key: k.capacity_qps[s.key] / rate for k in every}
    largest = max(worth.values())
    counted = combine(
        *(
            (
                worth[k.key],
                _steady(columns, k, t) if lost.spot_pools else columns.running(k, t),
            )
            for k in every
        )
    )
    for kind in kinds:
        there = columns.model.binary("stays", s.key, kind.key, t)
        most = float(limit(columns, kind, t))
        some = combine((1.0, _steady(columns, kind, t)), (-most, {there: 1.0}))
        columns.model.row("spot", (s.key, kind.key, "some", t), some, "<=", 0.0)
        beyond = largest - worth[kind.key]
        terms = combine((1.0, counted), (beyond, {there: 1.0}))
        right = 1.0 + largest - CLOSE
        columns.model.row("spot", (s.key, kind.key, "needed", t), terms, "<=", right)


def _steady(columns: Columns, kind: ReplicaKind, t: int) -> dict[int, float]:
    """Replicas of a kind on nodes that stay."""
    return total(columns.replicas[kind.key, e, t] for e in _staying(columns, kind))


def _staying(columns: Columns, kind: ReplicaKind) -> list[Site]:
    return [e for e in columns.hosts[kind.key] if not e.spot]
