"""Whether replicas that span nodes find them in one place, over the network they were sized for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from planner.fleet.program.problem import NodeOffer, Problem, ReplicaKind, Solution
from planner.verification.check import Check, at_least
from planner.verification.packing import fits


def place_checks(problem: Problem, solution: Solution) -> Iterator[Check]:
    """Every kind that spans nodes, in every period: how many of it places hold, each alone.

    Necessary, and enough where no other replicas of the GPU type compete for a place.
    """
    offers = {o.key: o for o in problem.offers}
    for t in problem.periods:
        nodes = [(offers[o], n) for (o, at), n in solution.billed.items() if at == t and n]
        for kind in problem.kinds:
            needed = solution.replicas.get((kind.key, t), 0)
            if kind.is_wide and needed:
                statement = f"{kind.key} in one place over its network"
                when = f"period {t}: " if len(problem.periods) > 1 else ""
                yield at_least("packing", when + statement, _held(kind, nodes, needed), needed)


def _held(kind: ReplicaKind, nodes: list[tuple[NodeOffer, int]], needed: int) -> int:
    """How many replicas the nodes hold, at most ``needed``."""
    other = kind.other_pool()
    joined: dict[str, list[tuple[NodeOffer, int]]] = defaultdict(list)
    whole = 0
    for node, count in nodes:
        joined[node.place].append((node, count))
        if other is None and node.gpu == kind.gpu and not kind.spans_over(node.network_gb_s):
            whole += count * (node.gpus_per_node // kind.gpus)
    pools = [kind] if other is None else [kind, other]
    for found in joined.values():
        whole += min(_in_place(pool, found, needed) for pool in pools)
    return min(whole, needed)


def _in_place(kind: ReplicaKind, nodes: list[tuple[NodeOffer, int]], needed: int) -> int:
    """How many of a kind the nodes of one place hold that its groups may span."""
    sizes = Counter[int]()
    for node, count in nodes:
        if node.gpu == kind.gpu and kind.spans_over(node.network_gb_s):
            sizes[max(node.gpus_per_node, node.link_gpus)] += count
    groups = Counter(kind.groups)
    held = 0
    while held < needed:
        more = Counter({size: n * (held + 1) for size, n in groups.items()})
        if fits(more, sizes) is False:
            break
        held += 1
    return held
