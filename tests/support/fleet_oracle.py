"""Brute force over small fleets: an answer found without any solver, to hold the program against.

Every count of every offer and every replica count up to a bound is tried; groups are packed one by
one by depth-first search, and demands are checked by enumeration or a linear program of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from scipy.optimize import linprog

from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind

SLACK = 1e-7


def cheapest(problem: Problem, most_nodes: int = 6, most_replicas: int = 6) -> float | None:
    """The least mean cost [USD/h], or None when no fleet within the bounds carries the demands."""
    hours = sum(problem.period_hours)
    committed = [o for o in problem.offers if o.committed]
    flexible = [o for o in problem.offers if not o.committed]
    best: float | None = None
    subsets = list(allowed_kinds(problem))
    for kinds in subsets:
        options = [list(_replica_counts(problem, kinds, t, most_replicas)) for t in problem.periods]
        for held in itertools.product(*(range(_most(o, most_nodes) + 1) for o in committed)):
            base = dict(zip((o.key for o in committed), held, strict=True))
            total = 0.0
            for t, h in enumerate(problem.period_hours):
                cost = _period(problem, flexible, base, kinds, options[t], most_nodes)
                if cost is None:
                    break
                total += h * cost
            else:
                mean = total / hours
                best = mean if best is None else min(best, mean)
    return best


def _period(
    problem: Problem,
    flexible: list[NodeOffer],
    base: dict[str, int],
    kinds: tuple[ReplicaKind, ...],
    options: list[tuple[int, ...]],
    most_nodes: int,
) -> float | None:
    best: float | None = None
    for counts in itertools.product(*(range(_most(o, most_nodes) + 1) for o in flexible)):
        nodes = {**base, **dict(zip((o.key for o in flexible), counts, strict=True))}
        cost = sum(o.usd_per_hour * nodes[o.key] for o in problem.offers)
        if best is not None and cost >= best - 1e-12:
            continue
        if within_limits(problem, nodes) and any(stands(problem, nodes, kinds, n) for n in options):
            best = cost
    return best


def _most(offer: NodeOffer, most_nodes: int) -> int:
    return most_nodes if offer.max_nodes is None else min(offer.max_nodes, most_nodes)


def within_limits(problem: Problem, nodes: dict[str, int]) -> bool:
    limits = problem.limits
    gpus = {o.key: o.gpus_per_node * nodes[o.key] for o in problem.offers}
    for gpu, most in limits.stock.items():
        if sum(gpus[o.key] for o in problem.offers if o.gpu == gpu) > most:
            return False
    if limits.max_gpus is not None and sum(gpus.values()) > limits.max_gpus:
        return False
    usd = sum(o.usd_per_hour * nodes[o.key] for o in problem.offers)
    if limits.max_usd_per_hour is not None and usd > limits.max_usd_per_hour + SLACK:
        return False
    power = sum(o.power_kw * nodes[o.key] for o in problem.offers)
    return limits.max_power_kw is None or power <= limits.max_power_kw + SLACK


def stands(
    problem: Problem, nodes: dict[str, int], kinds: tuple[ReplicaKind, ...], counts: tuple[int, ...]
) -> bool:
    """Whether the replicas fit, with no more of the GPUs they take on spot nodes than allowed."""
    share = problem.limits.max_spot_share
    if share is None:
        return packs(problem, nodes, kinds, counts)
    spot = {o.key: n if o.spot else 0 for o in problem.offers for n in [nodes[o.key]]}
    stay = {o.key: 0 if o.spot else n for o in problem.offers for n in [nodes[o.key]]}
    gpus = [k.gpus * k.gpu_share for k in kinds]
    allowed = share * sum(n * g for n, g in zip(counts, gpus, strict=True)) + SLACK
    return any(
        sum(n * g for n, g in zip(taken, gpus, strict=True)) <= allowed
        and packs(problem, spot, kinds, taken)
        and packs(problem, stay, kinds, tuple(a - b for a, b in zip(counts, taken, strict=True)))
        for taken in itertools.product(*(range(n + 1) for n in counts))
    )


def packs(
    problem: Problem, nodes: dict[str, int], kinds: tuple[ReplicaKind, ...], counts: tuple[int, ...]
) -> bool:
    """Whether the replicas' groups fit into the nodes, each group whole within one node."""
    gpus = {k.gpu for k, n in zip(kinds, counts, strict=True) if n}
    for gpu in gpus:
        bins = tuple(
            sorted(
                size
                for o in problem.offers
                if o.gpu == gpu
                for size in [o.gpus_per_node] * nodes[o.key]
            )
        )
        groups = tuple(
            sorted(
                (
                    g
                    for k, n in zip(kinds, counts, strict=True)
                    if k.gpu == gpu
                    for _ in range(n)
                    for g in k.groups
                ),
                reverse=True,
            )
        )
        if not fits(bins, groups):
            return False
    return True


@lru_cache(maxsize=200_000)
def fits(bins: tuple[int, ...], groups: tuple[int, ...]) -> bool:
    """Exact bin packing by depth-first search, largest group first."""
    if not groups:
        return True
    if sum(groups) > sum(bins):
        return False
    for size in sorted({b for b in bins if b >= groups[0]}):
        left = list(bins)
        left.remove(size)
        left.append(size - groups[0])
        if fits(tuple(sorted(left)), groups[1:]):
            return True
    return False


def allowed_kinds(problem: Problem) -> Iterator[tuple[ReplicaKind, ...]]:
    """Every choice of kinds that respects how many a service may mix."""
    caps: dict[str, int] = {}
    for d in problem.demands:
        if d.max_kinds is not None:
            caps[d.service] = min(caps.get(d.service, d.max_kinds), d.max_kinds)
    if not caps:
        yield problem.kinds
        return
    service_of = {d.key: d.service for d in problem.demands}
    for size in range(len(problem.kinds) + 1):
        for subset in itertools.combinations(problem.kinds, size):
            used: dict[str, int] = {}
            for k in subset:
                for g in {service_of[s] for s, c in k.capacity_qps.items() if c > 0}:
                    used[g] = used.get(g, 0) + 1
            if all(used.get(g, 0) <= most for g, most in caps.items()):
                yield subset


def _replica_counts(
    problem: Problem, kinds: tuple[ReplicaKind, ...], t: int, most: int
) -> Iterator[tuple[int, ...]]:
    """Replica counts that carry period ``t``, without those that carry it with one to spare."""
    found: list[tuple[int, ...]] = []
    for counts in itertools.product(range(most + 1), repeat=len(kinds)):
        if any(all(a <= b for a, b in zip(f, counts, strict=True)) for f in found):
            continue
        if carries(problem.demands, kinds, counts, t):
            found.append(counts)
            yield counts


def carries(
    demands: Iterable[Demand], kinds: tuple[ReplicaKind, ...], counts: tuple[int, ...], t: int
) -> bool:
    """Whether the replicas serve every demand of period ``t``, splitting requests as allowed."""
    active = [d for d in demands if d.rates_qps[t] > 0]
    if not active:
        return True
    whole = [d for d in active if d.whole]
    gpus = sorted({k.gpu for k in kinds})
    for types in itertools.product(gpus, repeat=len(whole)):
        fixed = dict(zip((d.key for d in whole), types, strict=True))
        if _splits(active, kinds, counts, t, fixed):
            return True
    return False


def _splits(
    demands: list[Demand],
    kinds: tuple[ReplicaKind, ...],
    counts: tuple[int, ...],
    t: int,
    fixed: dict[str, str],
) -> bool:
    arcs = [
        (i, j)
        for i, d in enumerate(demands)
        for j, k in enumerate(kinds)
        if counts[j] > 0 and k.capacity_qps.get(d.key, 0.0) > 0 and fixed.get(d.key, k.gpu) == k.gpu
    ]
    if any(all(i != a for a, _ in arcs) for i in range(len(demands))):
        return False
    if len(demands) == 1:
        (d,) = demands
        able = sum(counts[j] * kinds[j].capacity_qps[d.key] for _, j in arcs)
        return able >= d.rates_qps[t] * (1 - SLACK)
    served = np.zeros((len(demands), len(arcs)))
    load = np.zeros((len(kinds), len(arcs)))
    for column, (i, j) in enumerate(arcs):
        served[i, column] = 1.0
        load[j, column] = demands[i].rates_qps[t] / kinds[j].capacity_qps[demands[i].key]
    result = linprog(
        np.zeros(len(arcs)),
        A_ub=load,
        b_ub=np.array(counts, float) + 1e-7,
        A_eq=served,
        b_eq=np.ones(len(demands)),
        method="highs",
    )
    return bool(result.status == 0)
