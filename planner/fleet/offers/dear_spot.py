"""Spot pools that cost no less than nodes which cannot be taken away, their idle reserve counted.

Of a spot pool's nodes a share R stands idle against interruptions, so that ``u[o]`` nodes of ``size[o]``
GPUs let at most ``sum_o (1 - R[o]) size[o] u[o]`` GPUs work. Where every group is one GPU, the working GPUs
of the pool are a whole number G no larger than that, and G nodes of one GPU each can take their place. At

    price <= price[o] / ((1 - R[o]) size[o])  for every offer o of the pool,

power and weights in caps likewise, they cost no more together, are fewer GPUs, and fail with no pool; a
share of spot that was kept is kept, as it is of the GPUs at work. So the whole pool is of no use.
"""

from __future__ import annotations

from planner.fleet.program.problem import NodeOffer, Problem

EQUAL = 1e-12  # relative: sums of prices this close are the same


def without_dear_spot(problem: Problem) -> tuple[NodeOffer, ...]:
    """The offers without spot pools in whose place steady nodes of one GPU cost no more."""
    lost, limits = problem.resilience, problem.limits
    if problem.placed or lost.nodes or lost.zones or limits.max_vendors is not None:
        return problem.offers
    wide = {k.gpu for k in problem.kinds if max(k.groups, default=1) > 1}
    steady = [
        o
        for o in problem.offers
        if o.is_free
        and not (o.spot or o.committed or o.reserve_share or o.link_gpus)
        and o.gpus_per_node == 1
        and o.gpu not in wide
    ]
    pools: dict[tuple[str, str, str], list[NodeOffer]] = {}
    for o in problem.offers:
        if o.spot:
            pools.setdefault(
                (o.gpu, o.zone, o.pool) if lost.spot_pools else (o.gpu, "", ""), []
            ).append(o)
    dropped = {
        o.key
        for pool in pools.values()
        if any(all(_replaces(problem, s, o) for o in pool) for s in steady)
        for o in pool
    }
    return tuple(o for o in problem.offers if o.key not in dropped)


def _replaces(problem: Problem, steady: NodeOffer, o: NodeOffer) -> bool:
    """Whether nodes of ``steady``, one for each GPU of ``o`` that works, cost and count no more."""
    if steady.gpu != o.gpu or o.existing or o.committed:
        return False
    if not all(steady.runs_in(t) for t in problem.periods if o.runs_in(t)):
        return False
    works = (1.0 - o.reserve_share) * o.gpus_per_node
    counted = [
        (c.per_node.get(steady.key, 0.0), c.per_node.get(o.key, 0.0)) for c in problem.limits.caps
    ]
    pairs = [(steady.usd_per_hour, o.usd_per_hour), (steady.power_kw, o.power_kw), *counted]
    return all(works * mine <= theirs * (1 + EQUAL) for mine, theirs in pairs)
