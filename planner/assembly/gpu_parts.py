"""What is taken for granted about replicas that have a part of a GPU."""

from __future__ import annotations

from collections.abc import Iterator

from planner.catalog.gpus.slices import slices_of
from planner.catalog.store import Catalog
from planner.solving.stages import Decided


def gpu_parts(decided: Decided, catalog: Catalog) -> Iterator[str]:
    """A line where a time slice is chosen, and one for each MIG profile whose figures are assumed."""
    chosen = [decided.by_key[kind] for kind in decided.replicas()]
    if any(c.gpu_share < 1 and not c.profile for c in chosen):
        yield (
            "a time slice is taken to have its share of bandwidth and arithmetic while all others are "
            "busy; nothing isolates the memory of slices (assumed; docs.nvidia.com gpu-operator, gpu-sharing)"
        )
    for gpu, profile in dict.fromkeys((c.deployment.gpu.name, c.profile) for c in chosen):
        for row in slices_of(catalog.root, gpu):
            if row.profile == profile and row.grade == "assumed":
                yield f"memory and SMs of {profile} on {gpu} are assumed: {row.source}"
