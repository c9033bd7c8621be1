"""KV cache outside the GPU: how many tokens of it a replica keeps there, and how fast they come back."""

from __future__ import annotations

from dataclasses import dataclass

from planner.deployment import Deployment
from planner.performance.steps import StepBatch, StepModel
from planner.units import GB


@dataclass(frozen=True, slots=True)
class Offload:
    """Host memory and disk of one replica as its cache sees them.

    host_tokens, disk_tokens: that each holds; host_s_per_token, disk_s_per_token: to bring one back to
    the GPU [s]; writes_through: whether the host holds copies of what the GPU holds too.
    """

    host_tokens: float
    host_s_per_token: float
    disk_tokens: float = 0.0
    disk_s_per_token: float = 0.0
    writes_through: bool = True


def offload_of(deployment: Deployment, bytes_per_token: float) -> Offload | None:
    """What a deployment's settings keep outside the GPU; None where they keep nothing.

    ``bytes_per_token``: growing KV of one token on one GPU [B]. Every GPU of the rank that holds a
    sequence moves its own part at once: ``s = bytes / rate``; the disk reads the parts of all.
    """
    settings, support = deployment.settings, deployment.engine.kv_offload
    if not settings.offload_host_gb or support is None or bytes_per_token <= 0:
        return None
    parts = deployment.tensor_parallel * deployment.pipeline_parallel
    whole = bytes_per_token * parts
    rate = settings.offload_gb_s or deployment.gpu.pcie_gb_s
    if rate <= 0:
        return None
    disk_s = 0.0
    if settings.offload_disk_gb:
        disk_s = whole / (settings.offload_disk_gb_s * GB) + bytes_per_token / (rate * GB)
    return Offload(
        host_tokens=settings.offload_host_gb * GB / whole,
        host_s_per_token=bytes_per_token / (rate * GB),
        disk_tokens=settings.offload_disk_gb * GB / whole,
        disk_s_per_token=disk_s,
        writes_through=support.writes_through,
    )


def recompute_s_per_token(steps: StepModel, budget_tokens: int) -> float:
    """What one prompt token costs to compute in a full step [s], attention to a history left out."""
    tokens = float(budget_tokens)
    batch = StepBatch(0.0, 0.0, tokens, 1.0, tokens * (tokens + 1) / 2, 1.0)
    return float(steps.step_seconds(batch)) / tokens
