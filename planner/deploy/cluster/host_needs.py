"""What one process of a replica needs of its node beside GPUs: CPUs, memory, disk.

Requests let the scheduler place pods and keep the kubelet from evicting them for disk; no limits are
set, so that the page cache may hold the checkpoint while it loads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.deploy.launch import Launch

GIB = 2**30
SHARD_BYTES = 5e9  # the largest file of a checkpoint as Hugging Face libraries split it
CACHE_MARGIN = 1.2  # files beside the weights, MTP modules, vision towers, a partial download


@dataclass(frozen=True, slots=True)
class HostNeeds:
    """CPUs, host memory and disk of one process [cores, GiB].

    ``scratch_gib``: logs and compiled kernels. ``checkpoint_gib``: the downloaded checkpoint, wherever
    it is kept.
    """

    cpus: int
    memory_gib: int
    scratch_gib: int
    checkpoint_gib: int


def host_needs(launch: Launch) -> HostNeeds:
    """What one process of ``launch`` needs.

    CPUs: ``base + GPUs``, a part of a GPU counted as that part, rounded up. Memory:
    ``base + GPUs x (per GPU + one file of the checkpoint being read)``, no more of the checkpoint than it
    has. Coefficients: ``catalogs/engine_options/hosts.csv``.
    """
    row = launch.dialect.host()
    gpus = launch.node_gpus if launch.is_whole else launch.gpu_share
    reading = min(launch.checkpoint_bytes, SHARD_BYTES * launch.node_gpus) / GIB
    return HostNeeds(
        cpus=math.ceil(row.cpus + row.cpus_per_gpu * gpus),
        memory_gib=math.ceil(row.memory_gib + row.memory_per_gpu_gib * gpus + reading),
        scratch_gib=row.scratch_gib,
        checkpoint_gib=math.ceil(launch.checkpoint_bytes * CACHE_MARGIN / GIB),
    )
