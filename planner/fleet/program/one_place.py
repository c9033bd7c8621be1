"""Replicas wider than a node, and the place that all their GPU groups must share.

Pools of a unit hand over KV cache, and pipeline stages hand over activations, within one provider and
region, and on one host where hosts do not reach each other. Telling every node apart by its place makes
a program ten times as large, and most cheapest fleets lie in one place anyhow: the program is solved
without places first. Where its fleet has wide replicas and nodes of their GPU type in several places, or
on hosts that do not reach each other, it is solved again with the places of that type distinguished. The
first program is a relaxation of the second, so that what it proves stays proved.
"""

from __future__ import annotations

from planner.fleet.program.problem import Problem, Solution


def spread_types(problem: Problem, solution: Solution) -> frozenset[str]:
    """GPU types with wide replicas whose nodes lie in several places, and are not yet distinguished."""
    types_of = {k.key: frozenset(k.types) for k in problem.kinds if k.is_wide}
    offers = {o.key: o for o in problem.offers}
    found: set[str] = set()
    for t in problem.periods:
        wide = {
            g
            for (k, at), n in solution.replicas.items()
            if at == t and n
            for g in types_of.get(k, ())
        }
        for gpu in wide - problem.placed:
            nodes = [offers[o] for (o, at), n in solution.billed.items() if at == t and n]
            mine = [o for o in nodes if o.gpu == gpu]
            if len({o.place for o in mine}) > 1 or any(o.apart for o in mine):
                found.add(gpu)
    return frozenset(found)
