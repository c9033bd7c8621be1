"""Replicas that are wider than the nodes they stand on."""

from __future__ import annotations

import math
from collections.abc import Iterable

from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import NodeCount


def spanned_nodes(group: ReplicaGroup, nodes: Iterable[NodeCount]) -> tuple[int, int]:
    """How many nodes one replica spans, and the GPUs of each; of the largest nodes with its GPU.

    One node where it fits in one, for parts of a GPU, and for units of two pools, which name their own
    place.
    """
    largest = max((n.gpus_per_node for n in nodes if n.gpu == group.gpu), default=0)
    each = group.gpus_each
    if group.prefill is not None or not 0 < largest < each:
        return 1, each
    return math.ceil(each / largest), largest
