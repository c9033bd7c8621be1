"""How an engine keeps KV blocks outside the GPU, in the unit of its own option."""

from __future__ import annotations

from planner.deploy.launch import KvOffloadOption
from planner.deployment import Deployment
from planner.units import GB


def offload_option(deployment: Deployment) -> KvOffloadOption | None:
    """The option of a deployment that keeps blocks in host memory; None for others.

    Some engines count the memory of a rank, others that of the whole replica
    (``EngineSpec.kv_offload``); rounded down, so that no more is taken than was planned.
    """
    settings, support = deployment.settings, deployment.engine.kv_offload
    if not settings.offload_host_gb or support is None:
        return None
    size = settings.offload_host_gb * GB / support.option_bytes
    if support.per_rank:
        size /= deployment.gpus
    return KvOffloadOption(max(1, int(size)), disk=settings.offload_disk_gb > 0)
