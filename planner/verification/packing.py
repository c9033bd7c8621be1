"""Whether the replicas fit the nodes rented: a filling of whole nodes is found, or none exists."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.verification.billed_nodes import BilledNodes, billed_nodes
from planner.verification.check import Check, Verdict, skipped

MAX_STATES = 200_000
MAX_NODES = 10_000  # beyond, best fit alone decides
WHOLE = 100_000  # parts of a GPU that shares are counted in


def packing_checks(plan: Plan) -> Iterator[Check]:
    """Every GPU type of a fleet that never changes; ``timetable`` packs each period of one that does."""
    if plan.varies:
        return
    running = [(g, g.replicas) for g in plan.groups]
    (always,) = billed_nodes(plan)
    yield from packing_of(running, always)


def packing_of(
    running: Sequence[tuple[ReplicaGroup, int]], nodes: BilledNodes, when: str = ""
) -> Iterator[Check]:
    """Per GPU type: each group of linked GPUs lies within one node, or fills whole nodes.

    ``running``: replicas of each group. A pipeline stage (TP times attention DP) is one group, all stages
    together where a node holds them; a group larger than a node takes whole nodes of one link domain and a
    rest. A unit of two pools is one group where it is in a node, and as many as its replicas have where it
    is in a zone.
    """
    for gpu in sorted({gpu for g, _ in running for gpu in g.gpus_by_type}):
        sizes = Counter[int]()
        for node, count in nodes.nodes:
            if node.gpu == gpu:
                sizes[node.gpus_per_node] += count
        pieces, shares = Counter[int](), Counter[int]()
        for group, replicas in running:
            if group.gpu == gpu and group.gpu_share < 1:
                shares[max(1, math.floor(group.gpu_share * WHOLE))] += replicas
            elif gpu in group.gpus_by_type:
                pieces.update(_pieces(group, gpu, replicas, max(sizes, default=1)))
        pieces[1] += _cut_gpus(shares)
        statement = f"{when}{gpu}: {_listed(pieces)} in nodes of {_listed(sizes)} GPUs"
        packed = fits(pieces, sizes)
        if packed is None:
            yield skipped("packing", statement, f"undecided after {MAX_STATES} fillings")
        else:
            verdict = Verdict.HOLDS if packed else Verdict.FAILS
            found = "a filling exists" if packed else "no filling exists"
            yield Check("packing", statement, verdict, found, "a filling")


def _cut_gpus(shares: Counter[int]) -> int:
    """The fewest GPUs that hold replicas on shares of one, by share in parts of ``WHOLE``."""
    gpus = math.ceil(sum(size * count for size, count in shares.items()) / WHOLE)
    while not fits(shares, Counter({WHOLE: gpus})):
        gpus += 1
    return gpus


def fits(pieces: Counter[int], nodes: Counter[int]) -> bool | None:
    """Whether pieces (count by size) fit into nodes (count by free GPUs); None when undecided.

    Best-fit decreasing settles most cases; where it fails, every filling of one node after the
    other is tried.
    """
    if sum(n * size for size, n in pieces.items()) > sum(n * size for size, n in nodes.items()):
        return False
    if _best_fit(pieces, nodes):
        return True
    return _exhaustive(pieces, list(nodes.elements())) if nodes.total() <= MAX_NODES else None


def _pieces(group: ReplicaGroup, gpu: str, replicas: int, node_gpus: int) -> Counter[int]:
    """Groups of GPUs of one type that must each stay within a node."""
    pool = group.prefill
    if pool is None:
        return _stages(group.degrees, replicas, node_gpus)
    if pool.within == "node":
        return Counter({group.gpus_each: replicas})
    prompts = _stages(pool.degrees, replicas * pool.replicas, node_gpus)
    answers = _stages(group.degrees, replicas * pool.decode_replicas, node_gpus)
    if not pool.gpu:
        return prompts + answers
    return answers if gpu == group.gpu else prompts


def _stages(degrees: tuple[int, int, int, int], replicas: int, node_gpus: int) -> Counter[int]:
    tp, pp, dp, _ = degrees
    if tp * dp * pp <= node_gpus:  # predicted in one node, so it must be in one
        return Counter({tp * dp * pp: replicas})
    whole, rest = divmod(tp * dp, node_gpus)
    stages = replicas * pp
    pieces = Counter[int]()
    for size, n in ((node_gpus, whole * stages), (rest, stages)):
        if size and n:
            pieces[size] += n
    return pieces


def _best_fit(pieces: Counter[int], nodes: Counter[int]) -> bool:
    """Large pieces first, each where it leaves the least; by counts, however many there are."""
    free = Counter(nodes)
    for size in sorted((s for s, n in pieces.items() if n), reverse=True):
        left = pieces[size]
        for room in sorted(f for f, n in free.items() if n and f >= size):
            each = room // size
            filled = min(free[room], left // each)
            free[room] -= filled
            free[room - each * size] += filled
            left -= filled * each
            if left and free[room]:
                free[room] -= 1
                free[room - left * size] += 1
                left = 0
        if left:
            return False
    return True


def _exhaustive(pieces: Counter[int], nodes: list[int]) -> bool | None:
    sizes = tuple(sorted(pieces, reverse=True))
    seen: set[tuple[int, tuple[int, ...]]] = set()
    stack = [(0, tuple(pieces[s] for s in sizes))]
    while stack:
        node, left = stack.pop()
        if not any(left):
            return True
        if node == len(nodes) or (node, left) in seen:
            continue
        if len(seen) >= MAX_STATES:
            return None
        seen.add((node, left))
        stack += [(node + 1, rest) for rest in _fillings(nodes[node], sizes, left)]
    return False


def _fillings(
    free: int, sizes: tuple[int, ...], left: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """What may be left after one node is filled, as full as it gets."""
    if not sizes:
        yield ()
        return
    for count in range(min(left[0], free // sizes[0]) + 1):
        for rest in _fillings(free - count * sizes[0], sizes[1:], left[1:]):
            yield (left[0] - count, *rest)


def _listed(sizes: Counter[int]) -> str:
    counted = sorted(((size, n) for size, n in sizes.items() if n), reverse=True)
    return ", ".join(f"{n} of {size}" for size, n in counted) or "none"
