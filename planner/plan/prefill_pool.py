"""The prefill pool that a replica group of a plan may have beside it."""

from __future__ import annotations

import math
from typing import Literal

from planner.deployment import ParallelDegrees
from planner.evidence import Evidence
from planner.plan.part import PlanPart
from planner.scenario.fields import omit_defaults


class PrefillPool(ParallelDegrees, PlanPart):
    """The prompts' side of units whose prefill and decode are disaggregated.

    One unit has ``replicas`` that prefill and ``decode_replicas`` of the replica group's own layout,
    all ``within`` one "node" or "zone". ``link_gb_s``: of one GPU, ``link``: what it is; ``transfer_s``:
    a mean prompt's KV cache on it [s]. ``memory`` and ``kv_pool_tokens`` are those of one replica. ``gpu``:
    the pool's GPU type, where it is not the replica group's. ``pace``: how many times as long as its
    kernels the pool's steps take, as disaggregated runs were measured (``prefill_pace.csv``).
    ``network_gb_s``: as the replica group's, of that GPU type.
    """

    tensor_parallel: int
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    replicas: int
    decode_replicas: int
    within: Literal["node", "zone"]
    link: str
    link_gb_s: float
    link_latency_s: float
    link_evidence: Evidence
    transfer_s: float
    memory: dict[str, float]
    kv_pool_tokens: float
    evidence: Evidence
    gpu: str = ""
    pace: float = 1.0
    network_gb_s: float | None = None

    _written = omit_defaults("gpu", "pace", "network_gb_s")

    @property
    def gpus_each(self) -> int:
        """GPUs of one prefill replica."""
        return math.prod(self.degrees[:3])
