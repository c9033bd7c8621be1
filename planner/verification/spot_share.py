"""Whether no more of what serves stands on spot nodes than ``spot.max_share`` allows, by filling the others.

A plan says how many nodes and replicas there are, not which stands where. As many GPUs of replicas as may
be go on nodes that stay, GPU type by GPU type, the largest groups first; the rest is on spot. That filling is
one that can be had. Where it exceeds the share, counting decides: GPUs in use beyond all that stay are
on spot however replicas are placed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from planner.catalog.offer import Term
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.verification.billed_nodes import BilledNodes, billed_nodes
from planner.verification.check import Check, at_most, skipped

FAMILY = "limits"
CLOSE = 1e-9  # GPUs
Running = Sequence[tuple[ReplicaGroup, int]]  # replicas of each group


def spot_share_checks(plan: Plan) -> Iterator[Check]:
    """The period that comes closest to the limit, and each that one filling does not decide."""
    share = plan.scenario.spot.max_share
    statement = f"GPUs in use on spot nodes beyond {100 * share:g} % of those in use"
    groups = {g.key(s.name): g for s in plan.services for g in s.replica_groups}
    always = {key: g.replicas for key, g in groups.items()}
    counts = [p.replicas for p in plan.periods] if plan.varies else [always]
    decided: list[float] = []
    for replicas, nodes in zip(counts, billed_nodes(plan), strict=True):
        if not any(node.term == Term.SPOT for node, _ in nodes.nodes):
            decided.append(0.0)
            continue
        running = [(groups[k], n) for k, n in replicas.items() if n and k in groups]
        allowed = share * math.fsum(_used(running, gpu) for gpu in _types(running))
        found, least = _by_filling(running, nodes), _by_counting(running, nodes)
        if found > allowed + CLOSE and least <= allowed + CLOSE:
            yield skipped(FAMILY, f"{nodes.period}: {statement}", "undecided by one filling")
        else:
            beyond = (least if least > allowed + CLOSE else found) - allowed
            decided.append(beyond if beyond > CLOSE else 0.0)
    if decided:
        yield at_most(FAMILY, statement, max(decided), 0.0)


def _by_counting(running: Running, nodes: BilledNodes) -> float:
    """GPUs in use beyond all that stay."""
    beyond = (
        _used(running, gpu) - sum(size * n for size, n in _staying(nodes, gpu).items())
        for gpu in _types(running)
    )
    return math.fsum(max(0.0, more) for more in beyond)


def _by_filling(running: Running, nodes: BilledNodes) -> float:
    """GPUs in use on spot where the largest replicas go first on nodes that stay."""
    left = 0.0
    for gpu in _types(running):
        free = _staying(nodes, gpu)
        largest = max((n.gpus_per_node for n, _ in nodes.nodes if n.gpu == gpu), default=0)
        placed = 0.0
        for group, count in sorted(running, key=lambda r: -_each(r[0], gpu)):
            each = _each(group, gpu)
            if each >= 1:
                fill = _fill if each <= largest else _fill_whole
                placed += each * fill(free, round(each), count)
            elif each > 0:
                whole = sum(size * n for size, n in free.items())
                held = min(count, whole * math.floor(1 / each + CLOSE))
                placed += each * held
                _fill(free, 1, math.ceil(held / math.floor(1 / each + CLOSE)))
        left += _used(running, gpu) - placed
    return left


def _fill(free: Counter[int], size: int, count: int) -> int:
    """How many replicas of so many GPUs find room in a node each, which they take."""
    left = count
    for room in sorted(r for r, n in free.items() if n and r >= size):
        each = room // size
        taken = min(left, each * free[room])
        full, rest = divmod(taken, each)
        free[room] -= full + (rest > 0)
        free[room - each * size] += full
        if rest:
            free[room - rest * size] += 1
        left -= taken
    return count - left


def _fill_whole(free: Counter[int], size: int, count: int) -> int:
    """How many replicas wider than any node find whole nodes of one size, which they take."""
    left = count
    for room in sorted((r for r, n in free.items() if n and r), reverse=True):
        nodes = -(-size // room)
        taken = min(left, free[room] // nodes)
        free[room] -= taken * nodes
        left -= taken
    return count - left


def _types(running: Running) -> list[str]:
    return sorted({gpu for g, _ in running for gpu in g.gpus_by_type})


def _each(group: ReplicaGroup, gpu: str) -> float:
    """GPUs of the type that one replica takes, a share of one counted as that."""
    return group.gpus_by_type.get(gpu, 0) * group.gpu_share


def _used(running: Running, gpu: str) -> float:
    return math.fsum(n * _each(g, gpu) for g, n in running)


def _staying(nodes: BilledNodes, gpu: str) -> Counter[int]:
    """Nodes of the type that are not spot, by their GPUs."""
    sizes = Counter[int]()
    for node, count in nodes.nodes:
        if node.gpu == gpu and node.term != Term.SPOT:
            sizes[node.gpus_per_node] += count
    return sizes
