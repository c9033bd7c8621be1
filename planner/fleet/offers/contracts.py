"""Constraint families on who is paid and for how little: vendors, least.

Both need to know whether an offer is used at all, which a 0/1 column says:

    vendors   u[o,e,t] <= M[o] v[vendor],  sum_vendor v <= limit
    least     min[o] s[o] <= sum_e u[o,e,t] <= M[o] s[o]

``M`` is more than the nodes any fleet without superfluous replicas has: each replica needs at most a
node for each of its groups, and what fails at once adds no more than all of it again, once for each.
"""

from __future__ import annotations

import math

from planner.fleet.program.linear_program import combine
from planner.fleet.program.problem import NodeOffer, Problem
from planner.fleet.program.variables import Columns


def vendors(columns: Columns) -> None:
    """No more vendors are paid than the limit says."""
    most = columns.problem.limits.max_vendors
    if most is None:
        return
    named = sorted({o.vendor for o in columns.problem.offers if o.vendor})
    paid = {vendor: columns.model.binary("vendor", vendor) for vendor in named}
    columns.model.row("vendors", (), dict.fromkeys(paid.values(), 1.0), "<=", float(most))
    for o in columns.problem.offers:
        if o.vendor:
            for t in columns.problem.periods:
                used = columns.billed(t, {o.key: 1.0})
                limit = {paid[o.vendor]: -float(most_nodes(columns.problem, o))}
                columns.model.row(
                    "vendors", (o.key, t), combine((1.0, used), (1.0, limit)), "<=", 0
                )


def least(columns: Columns) -> None:
    """Where any node of an offer is billed, no fewer than it is sold in."""
    for o in columns.problem.offers:
        if o.min_nodes <= 1:
            continue
        most = float(most_nodes(columns.problem, o))
        signed: int | None = None
        for t in columns.problem.periods:
            if not o.runs_in(t):
                continue
            if signed is None or not o.committed:
                signed = columns.model.binary("signed", o.key, t)
            used = columns.billed(t, {o.key: 1.0})
            few, many = ({signed: -float(o.min_nodes)}, {signed: -most})
            columns.model.row("least", (o.key, t), combine((1.0, used), (1.0, few)), ">=", 0)
            columns.model.row("least", (o.key, t), combine((1.0, used), (1.0, many)), "<=", 0)


def most_nodes(problem: Problem, offer: NodeOffer) -> int:
    """M: nodes of an offer that no cheapest fleet exceeds."""
    if offer.max_nodes is not None:
        return offer.max_nodes
    lost = problem.resilience
    fail = lost.replicas + lost.nodes + lost.zones + lost.spot_pools
    nodes = 0
    for kind in problem.kinds:
        if kind.gpu != offer.gpu:
            continue
        busiest = max(
            sum(
                d.rates_qps[t] / kind.capacity_qps[d.key]
                for d in problem.demands
                if kind.capacity_qps.get(d.key, 0.0) > 0
            )
            for t in problem.periods
        )
        nodes += (math.ceil(busiest) + fail) * max(1, len(kind.groups)) * (1 + fail)
    return max(offer.min_nodes, math.ceil(nodes / (1 - offer.reserve_share)))
