"""Brute force for fleets that must hold after failures: every fleet, every loss, one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from fleet_oracle import allowed_kinds, carries, fits, within_limits

from planner.fleet.program.problem import NodeOffer, Problem, ReplicaKind

Item = tuple[NodeOffer, tuple[int, ...], int]  # nodes that fail together, with replicas per kind
Fleet = tuple[Item, ...]


def cheapest_after_failures(problem: Problem, most_nodes: int) -> float | None:
    """The least cost [USD/h] of a fleet that carries period 0 after any failure stated.

    A fleet is a list of nodes with the replicas in each: nothing is assumed about how losses add up.
    A replica larger than a node has its nodes to itself; losing one of them loses it.
    """
    options: list[Item] = [
        *((o, content, 1) for o in problem.offers for content in _contents(problem.kinds, o)),
        *(wide for o in problem.offers for wide in _wide(problem.kinds, o)),
    ]
    best: float | None = None
    for size in range(1, most_nodes + 1):
        for fleet in itertools.combinations_with_replacement(options, size):
            cost = sum(o.usd_per_hour * times for o, _, times in fleet)
            if best is not None and cost >= best - 1e-12:
                continue
            nodes = {o.key: 0 for o in problem.offers}
            for o, _, times in fleet:
                nodes[o.key] += times
            if any(o.max_nodes is not None and nodes[o.key] > o.max_nodes for o in problem.offers):
                continue
            if within_limits(problem, nodes) and _chosen(problem, fleet):
                best = cost
    return best


def _contents(kinds: tuple[ReplicaKind, ...], offer: NodeOffer) -> Iterator[tuple[int, ...]]:
    """What one node may hold, largest fillings only: a replica more never hurts."""
    ranges = [
        range(offer.gpus_per_node // k.gpus * _per_gpu(k) + 1 if k.gpu == offer.gpu else 1)
        for k in kinds
    ]
    able = [
        counts
        for counts in itertools.product(*ranges)
        if sum(-(-n // _per_gpu(k)) * k.gpus for n, k in zip(counts, kinds, strict=True))
        <= offer.gpus_per_node
    ]
    for counts in able:
        if not any(
            c != counts and all(a >= b for a, b in zip(c, counts, strict=True)) for c in able
        ):
            yield counts


def _per_gpu(kind: ReplicaKind) -> int:
    """Replicas that share one GPU; instances have one kind on a share, which no other joins."""
    return int(1 / kind.gpu_share + 1e-9) if kind.gpu_share < 1 else 1


def _wide(kinds: tuple[ReplicaKind, ...], offer: NodeOffer) -> Iterator[Item]:
    """Each replica that is larger than a node, on as few nodes as its groups fit into."""
    reach = max(offer.link_gpus, offer.gpus_per_node)
    for j, kind in enumerate(kinds):
        if kind.gpu != offer.gpu or kind.gpus <= offer.gpus_per_node or max(kind.groups) > reach:
            continue
        inside = tuple(sorted((g for g in kind.groups if g <= offer.gpus_per_node), reverse=True))
        nodes = next(n for n in range(len(inside) + 1) if fits((offer.gpus_per_node,) * n, inside))
        nodes += sum(-(-g // offer.gpus_per_node) for g in kind.groups if g > offer.gpus_per_node)
        yield offer, tuple(int(i == j) for i in range(len(kinds))), nodes


def _chosen(problem: Problem, fleet: Fleet) -> bool:
    """Whether some allowed choice of kinds makes the fleet hold after every failure."""
    for kinds in allowed_kinds(problem):
        keep = [k in kinds for k in problem.kinds]
        reduced = [
            (o, tuple(n if kept else 0 for n, kept in zip(c, keep, strict=True)), times)
            for o, c, times in fleet
        ]
        if all(_holds(problem, left) for left in _survivors(problem, reduced)):
            return True
    return False


def _holds(problem: Problem, counts: tuple[int, ...]) -> bool:
    return carries(problem.demands, problem.kinds, counts, 0)


def _sum(nodes: list[Item], kinds: int) -> tuple[int, ...]:
    return tuple(sum(c[j] for _, c, _ in nodes) for j in range(kinds))


def _survivors(problem: Problem, fleet: list[Item]) -> Iterator[tuple[int, ...]]:
    """Replicas per kind with nothing lost, and after each failure."""
    number = len(problem.kinds)
    everything = _sum(fleet, number)
    lost = problem.resilience
    yield everything
    if lost.replicas:
        replicas = [j for j, n in enumerate(everything) for _ in range(n)]
        for gone in set(itertools.combinations(replicas, min(lost.replicas, len(replicas)))):
            yield tuple(n - gone.count(j) for j, n in enumerate(everything))
    if lost.nodes:
        for gone in itertools.combinations(range(len(fleet)), min(lost.nodes, len(fleet))):
            yield _sum([x for i, x in enumerate(fleet) if i not in gone], number)
    if lost.zones:
        zones = sorted({o.zone for o in problem.offers})
        for away in itertools.combinations(zones, min(lost.zones, len(zones))):
            yield _sum([x for x in fleet if x[0].zone not in away], number)
    if lost.spot_pools:
        pools = sorted({(o.zone, o.pool) for o in problem.offers if o.spot})
        for dry in itertools.combinations(pools, min(lost.spot_pools, len(pools))):
            yield _sum(
                [x for x in fleet if not (x[0].spot and (x[0].zone, x[0].pool) in dry)], number
            )
