"""KV cache kept outside the GPU: host memory and disk, and how fast it comes back."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, model_validator

from planner.scenario.fields import Positive, StrictDocument
from planner.units import parse_size_bytes


def _some(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


Size = Annotated[float, BeforeValidator(parse_size_bytes), AfterValidator(_some)]


class KvOffload(StrictDocument):
    """Where a replica keeps KV blocks that its GPUs' pool gives up, and fetches them from.

    ``host_memory``: host memory of one replica for it, all its GPUs together; ``bandwidth_gb_s``: GB/s
    between one GPU and the host (null: the catalog's PCIe rate). ``disk``: of one replica, behind the
    host memory; ``disk_gb_s``: GB/s that a replica reads from it. A history is fetched where that is
    sooner than computing it again.
    """

    host_memory: Size
    bandwidth_gb_s: Positive | None = None
    disk: Size | None = None
    disk_gb_s: Positive | None = None

    @model_validator(mode="after")
    def _disk_with_its_rate(self) -> KvOffload:
        if (self.disk is None) != (self.disk_gb_s is None):
            raise ValueError("disk and disk_gb_s go together: give both, or neither")
        return self
