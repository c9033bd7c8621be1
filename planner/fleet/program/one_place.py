"""Replicas wider than a node, and the place that all their GPU groups must share.

Pools of a unit hand over KV cache, and pipeline stages hand over activations, within one provider and
region, over a network as fast as they were sized for, and on one host where hosts do not reach each
other. Telling every node apart by its place makes
a program ten times as large, and most cheapest fleets lie in one place anyhow: the program is solved
without places first. Where its fleet has wide replicas and nodes of their GPU type in several places, or
on ones whose network is too slow for them, it is solved again with the places of that type distinguished. The
first program is a relaxation of the second, so that what it proves stays proved.
"""

from __future__ import annotations

from planner.fleet.program.problem import Problem, ReplicaKind, Solution


def spread_types(problem: Problem, solution: Solution) -> frozenset[str]:
    """GPU types with wide replicas whose nodes lie in several places, and are not yet distinguished."""
    kinds = {k.key: k for k in problem.kinds if k.is_wide}
    offers = {o.key: o for o in problem.offers}
    found: set[str] = set()
    for t in problem.periods:
        wide: dict[str, list[ReplicaKind]] = {}
        for (key, at), n in solution.replicas.items():
            if at == t and n and key in kinds:
                for one in filter(None, (kinds[key], kinds[key].other_pool())):
                    wide.setdefault(one.gpu, []).append(one)
        nodes = [offers[o] for (o, at), n in solution.billed.items() if at == t and n]
        for gpu in wide.keys() - problem.placed:
            mine = [o for o in nodes if o.gpu == gpu]
            joined = all(k.spans_over(o.network_gb_s) for k in wide[gpu] for o in mine)
            if len({o.place for o in mine}) > 1 or not joined:
                found.add(gpu)
    return frozenset(found)
