"""Whether the replicas fit the nodes rented: a filling of whole nodes is found, or none exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from planner.plan import Plan, ReplicaGroup
from planner.verification.check import Check, Verdict, skipped
from planner.verification.standing import Standing, schedule_of, standing

MAX_STATES = 200_000


def packing_checks(plan: Plan) -> Iterator[Check]:
    """Every GPU type of a fleet that never changes; ``timetable`` packs each period of one that does."""
    if schedule_of(plan):
        return
    running = [(g, g.replicas) for s in plan.services for g in s.replica_groups]
    (always,) = standing(plan)
    yield from packing_of(running, always)


def packing_of(
    running: Sequence[tuple[ReplicaGroup, int]], nodes: Standing, when: str = ""
) -> Iterator[Check]:
    """Per GPU type: each group of linked GPUs lies within one node, or fills whole nodes.

    ``running``: replicas of each group. A pipeline stage (TP times attention DP) is one group; a group
    larger than a node takes whole nodes of one link domain and a rest. A unit of two pools is one group
    where it stands in a node, and as many as its replicas have where it stands in a zone.
    """
    for gpu in sorted({g.gpu for g, _ in running}):
        if any(g.gpu == gpu and g.gpu_share < 1 for g, _ in running):
            yield skipped("packing", f"{when}{gpu}: a filling", "replicas share GPUs")
            continue
        sizes = [n.gpus_per_node for n, count in nodes.nodes if n.gpu == gpu for _ in range(count)]
        pieces = Counter[int]()
        for group, replicas in running:
            if group.gpu == gpu:
                pieces.update(_pieces(group, replicas, max(sizes, default=1)))
        statement = f"{when}{gpu}: {_listed(pieces)} in nodes of {_listed(Counter(sizes))} GPUs"
        packed = fits(pieces, sizes)
        if packed is None:
            yield skipped("packing", statement, f"undecided after {MAX_STATES} fillings")
        else:
            verdict = Verdict.HOLDS if packed else Verdict.FAILS
            found = "a filling exists" if packed else "no filling exists"
            yield Check("packing", statement, verdict, found, "a filling")


def fits(pieces: Counter[int], nodes: list[int]) -> bool | None:
    """Whether pieces (count by size) fit into nodes (free GPUs each); None when undecided.

    First-fit decreasing settles most cases; where it fails, every filling of one node after the
    other is tried.
    """
    if sum(size * count for size, count in pieces.items()) > sum(nodes):
        return False
    return _first_fit(pieces, nodes) or _exhaustive(pieces, nodes)


def _pieces(group: ReplicaGroup, replicas: int, node_gpus: int) -> Counter[int]:
    pool = group.prefill
    if pool is None:
        return _stages(group.degrees, replicas, node_gpus)
    if pool.within == "node":
        return Counter({group.gpus_each: replicas})
    prompts = _stages(pool.degrees, replicas * pool.replicas, node_gpus)
    return prompts + _stages(group.degrees, replicas * pool.decode_replicas, node_gpus)


def _stages(degrees: tuple[int, int, int, int], replicas: int, node_gpus: int) -> Counter[int]:
    tp, pp, dp, _ = degrees
    whole, rest = divmod(tp * dp, node_gpus)
    stages = replicas * pp
    pieces = Counter[int]()
    for size, n in ((node_gpus, whole * stages), (rest, stages)):
        if size and n:
            pieces[size] += n
    return pieces


def _first_fit(pieces: Counter[int], nodes: list[int]) -> bool:
    free = sorted(nodes)
    for size in sorted(pieces.elements(), reverse=True):
        slot = next((i for i, f in enumerate(free) if f >= size), None)
        if slot is None:
            return False
        free[slot] -= size
        free.sort()
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
    return ", ".join(f"{n} of {size}" for size, n in sorted(sizes.items(), reverse=True)) or "none"
