"""Constraint families on demand: choice, replicas, cover, demand, capacity, link, whole.

``planner.fleet.program.program`` states them; each function here writes the family of its name.
"""

from __future__ import annotations

import math

from planner.fleet.program.demand_index import most_kinds
from planner.fleet.program.linear_program import combine, total
from planner.fleet.program.problem import ReplicaKind
from planner.fleet.program.variables import Columns


def choice(columns: Columns) -> None:
    """One kind for a service that picks one for itself; at most K for one that mixes."""
    picked: dict[str, dict[int, float]] = {}
    for (g, _), i in columns.choices.items():
        picked.setdefault(g, {})[i] = 1.0
    for g, demands in columns.services.demands.items():
        picks = picked.get(g, {})
        if g in columns.services.one_kind:
            columns.model.row("choice", (g,), picks, "==", 1.0)
        elif picks:
            columns.model.row("choice", (g,), picks, "<=", float(most_kinds(demands) or 0))


def replicas(columns: Columns) -> None:
    """A service that picks kind d runs N[d,t] of it and those that may fail, wherever they stand."""
    kinds = {k.key: k for k in columns.problem.kinds}
    for (g, key), chosen in columns.choices.items():
        kind = kinds[key]
        if g not in columns.services.one_kind or not columns.placed(kind):
            continue
        for t in columns.problem.periods:
            need = float(columns.services.running(g, kind, t) or 0)
            terms = combine((1.0, columns.running(kind, t)), (-need, {chosen: 1.0}))
            columns.model.row("replicas", (g, key, t), terms, ">=", 0.0)


def cover(columns: Columns) -> None:
    """Replicas that serve one demand alone carry its rate together; routing needs no variables."""
    for g, demands in columns.services.demands.items():
        for s in demands:
            if g in columns.services.one_kind or columns.is_routed(s.key):
                continue
            for t, rate in enumerate(s.rates_qps):
                if rate > 0:
                    terms = combine(
                        (1.0, covered(columns, s.key, t)), (1.0, columns.unserved(s.key, t))
                    )
                    columns.model.row("cover", (s.key, t), terms, ">=", 1.0)


def covered(columns: Columns, demand: str, t: int) -> dict[int, float]:
    """Capacity of all replicas for a demand, as a share of its rate."""
    s = next(d for d in columns.problem.demands if d.key == demand)
    kinds = columns.services.kinds_of[s.service]
    return combine(
        *((k.capacity_qps[demand] / s.rates_qps[t], columns.running(k, t)) for k in kinds)
    )


def demand(columns: Columns) -> None:
    """The shares of a demand, and what is not served, make up the whole of each period or window."""
    for s in columns.problem.demands:
        if not columns.is_routed(s.key):
            continue
        for window in s.windows or ((t,) for t in columns.problem.periods):
            with_demand = [t for t in window if s.rates_qps[t] > 0]
            if with_demand:
                shares = total(
                    {i: 1.0} for t in with_demand for _, i in columns.shares_of(s.key, t)
                )
                unserved = total(columns.unserved(s.key, t) for t in with_demand)
                terms = combine((1.0, shares), (1.0, unserved))
                columns.model.row(
                    "demand", (s.key, with_demand[0]), terms, "==", float(len(with_demand))
                )


def capacity(columns: Columns) -> None:
    """A kind's replicas carry what is routed to them: the sum of rate over capacity, in replicas."""
    load: dict[tuple[str, int], dict[int, float]] = {}
    rates = {s.key: s.rates_qps for s in columns.problem.demands}
    kinds = {k.key: k for k in columns.problem.kinds}
    for (s, d, t), i in columns.shares.items():
        load.setdefault((d, t), {})[i] = rates[s][t] / kinds[d].capacity_qps[s]
    for (d, t), terms in load.items():
        left = combine((1.0, terms), (-1.0, columns.running(kinds[d], t)))
        columns.model.row("capacity", (d, t), left, "<=", 0.0)


def link(columns: Columns) -> None:
    """Only kinds a service uses run for it or receive its requests."""
    kinds = {k.key: k for k in columns.problem.kinds}
    for (g, key), chosen in columns.choices.items():
        if g in columns.services.one_kind:
            continue
        kind = kinds[key]
        for s in columns.services.demands[g]:
            for t, rate in enumerate(s.rates_qps):
                share = columns.shares.get((s.key, key, t))
                if share is not None:
                    terms = {share: 1.0, chosen: -s.most_share}
                    columns.model.row("link", (g, key, s.key, t), terms, "<=", 0.0)
                elif rate > 0 and not columns.is_routed(s.key):
                    most = float(limit(columns, kind, t))
                    terms = combine((1.0, columns.running(kind, t)), (-most, {chosen: 1.0}))
                    columns.model.row("link", (g, key, t), terms, "<=", 0.0)


def limit(columns: Columns, kind: ReplicaKind, t: int) -> int:
    """More replicas of a kind than this never help: enough at every site, and what may be lost besides."""
    alone = sum(
        math.ceil(s.most_share * s.rates_qps[t] / kind.capacity_qps[s.key])
        for s in columns.problem.demands
        if kind.capacity_qps.get(s.key, 0.0) > 0
    )
    lost = columns.problem.resilience
    if not (lost.replicas or lost.by_place):
        return alone
    largest = max((o.gpus_per_node for o in columns.problem.offers), default=1)
    sites = len(columns.hosts[kind.key]) + 1
    per_node = math.ceil(largest / kind.gpu_share)
    return alone * sites + lost.replicas + lost.nodes * per_node


def whole(columns: Columns) -> None:
    """A whole bucket goes to one GPU type."""
    gpu_of = {k.key: k.gpu for k in columns.problem.kinds}
    for s in columns.problem.demands:
        if not s.whole or not columns.is_routed(s.key):
            continue
        reach = {(d, t): i for (key, d, t), i in columns.shares.items() if key == s.key}
        gpus = dict.fromkeys(gpu_of[d] for d, _ in reach)
        types = {gpu: columns.model.binary("type", s.key, gpu) for gpu in gpus}
        columns.model.row("whole", (s.key,), dict.fromkeys(types.values(), 1.0), "==", 1.0)
        for (d, t), share in reach.items():
            terms = {share: 1.0, types[gpu_of[d]]: -1.0}
            columns.model.row("whole", (s.key, d, t), terms, "<=", 0.0)
