"""Brute force over fleets of several periods: commitments that start late, owned nodes, shares of GPUs.

Every set of vendors, every choice of kinds and every count of committed nodes is tried; beneath them
each period is enumerated by itself. Nothing here is shared with the program.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from math import lcm

from fleet_oracle import SLACK, allowed_kinds, carries, fits, within_limits

from planner.fleet.program.problem import NodeOffer, Problem, ReplicaKind

Counts = tuple[int, ...]
MOST_REPLICAS, MOST_NODES = 5, 5


def cheapest_over_time(problem: Problem, most_nodes: int = MOST_NODES) -> float | None:
    """The least mean cost [USD/h] with what migrating costs, or None when no fleet carries it all."""
    costs = [
        cost
        for offers in _vendors_allowed(problem)
        for kinds in allowed_kinds(problem)
        if (cost := _of_kinds(replace(problem, offers=offers), problem, kinds, most_nodes))
        is not None
    ]
    return min(costs, default=None)


def _vendors_allowed(problem: Problem) -> Iterator[tuple[NodeOffer, ...]]:
    """The offers of every largest set of vendors that may be paid."""
    names = sorted({o.vendor for o in problem.offers if o.vendor})
    most = problem.limits.max_vendors
    for chosen in itertools.combinations(
        names, len(names) if most is None else min(most, len(names))
    ):
        yield tuple(o for o in problem.offers if not o.vendor or o.vendor in chosen)


def _of_kinds(
    allowed: Problem, problem: Problem, kinds: tuple[ReplicaKind, ...], most_nodes: int
) -> float | None:
    able = [_replicas(problem, kinds, t) for t in problem.periods]
    committed = [o for o in allowed.offers if o.committed]
    best: float | None = None
    for held in itertools.product(*(range(_most(o, most_nodes) + 1) for o in committed)):
        fixed = dict(zip((o.key for o in committed), held, strict=True))
        total: float | None = 0.0
        for t, hours in enumerate(problem.period_hours):
            cost = _period(allowed, problem, kinds, able[t], fixed, t, most_nodes)
            total = None if cost is None or total is None else total + hours * cost
            if total is None:
                break
        if total is not None:
            mean = total / sum(problem.period_hours)
            best = mean if best is None else min(best, mean)
    return best


def _period(
    allowed: Problem,
    problem: Problem,
    kinds: tuple[ReplicaKind, ...],
    able: list[Counts],
    fixed: Mapping[str, int],
    t: int,
    most_nodes: int,
) -> float | None:
    """The cheapest nodes of one period [USD/h], what is given up in the first one included."""
    flexible = [o for o in allowed.offers if not o.committed and o.runs_in(t)]
    best: float | None = None
    for counts in itertools.product(*(range(_most(o, most_nodes) + 1) for o in flexible)):
        nodes = {o.key: 0 for o in problem.offers}
        nodes |= {o.key: fixed[o.key] for o in allowed.offers if o.committed and o.runs_in(t)}
        nodes |= dict(zip((o.key for o in flexible), counts, strict=True))
        if any(0 < nodes[o.key] < o.min_nodes for o in problem.offers):
            continue
        leaving = _leaving(problem, nodes) if t == 0 else {}
        cost = sum(o.usd_per_hour * nodes[o.key] for o in problem.offers)
        overlap = sum(o.usd_per_hour * leaving.get(o.key, 0) for o in problem.offers)
        cost += overlap * problem.overlap_hours / problem.period_hours[0]
        if best is not None and cost >= best - 1e-12:
            continue
        beside = {key: n + leaving.get(key, 0) for key, n in nodes.items()}
        if not within_limits(problem, beside) or not _within_caps(problem, beside):
            continue
        if any(_packs(problem, nodes, kinds, counted) for counted in able):
            best = cost
    return best


def _leaving(problem: Problem, nodes: Mapping[str, int]) -> dict[str, int]:
    """Nodes that run today and not in the first period, where they overlap at all."""
    if problem.overlap_hours <= 0:
        return {}
    return {o.key: max(0, o.existing - nodes[o.key]) for o in problem.offers if o.existing}


def _within_caps(problem: Problem, nodes: Mapping[str, int]) -> bool:
    return all(
        sum(w * nodes[key] for key, w in cap.per_node.items()) <= cap.limit + SLACK
        for cap in problem.limits.caps
    )


def _most(offer: NodeOffer, most_nodes: int) -> int:
    return most_nodes if offer.max_nodes is None else min(offer.max_nodes, most_nodes)


def _replicas(problem: Problem, kinds: tuple[ReplicaKind, ...], t: int) -> list[Counts]:
    """Replica counts that carry a period, without those with one to spare."""
    found: list[Counts] = []
    for counts in itertools.product(range(MOST_REPLICAS + 1), repeat=len(kinds)):
        if any(all(a <= b for a, b in zip(f, counts, strict=True)) for f in found):
            continue
        if carries(problem.demands, kinds, counts, t):
            found.append(counts)
    return found


def _packs(
    problem: Problem, nodes: Mapping[str, int], kinds: tuple[ReplicaKind, ...], counts: Counts
) -> bool:
    """Whether the replicas fit in the nodes: groups whole, shares on GPUs that are cut for them."""
    for gpu in {k.gpu for k, n in zip(kinds, counts, strict=True) if n}:
        bins = [
            o.gpus_per_node for o in problem.offers if o.gpu == gpu for _ in range(nodes[o.key])
        ]
        running = [
            (k, n) for k, n in zip(kinds, counts, strict=True) if k.gpu == gpu and k.gpu_share == 1
        ]
        groups = [g for k, n in running for _ in range(n) for g in k.groups]
        groups += [1] * _cut_gpus(kinds, counts, gpu)
        if not fits(tuple(sorted(bins)), tuple(sorted(groups, reverse=True))):
            return False
    return True


def _cut_gpus(kinds: tuple[ReplicaKind, ...], counts: Counts, gpu: str) -> int:
    """The fewest GPUs that hold the replicas on shares of one."""
    shares = [
        Fraction(k.gpu_share).limit_denominator(100)
        for k, n in zip(kinds, counts, strict=True)
        if k.gpu == gpu and k.gpu_share < 1
        for _ in range(n)
    ]
    if not shares:
        return 0
    whole = 1
    for share in shares:
        whole = lcm(whole, share.denominator)
    sizes = tuple(sorted((int(s * whole) for s in shares), reverse=True))
    return next(n for n in range(1, len(sizes) + 1) if fits((whole,) * n, sizes))
