"""A unit of two pools: replicas that only prefill, replicas that only decode, and the link between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from planner.catalog.engine import Scheduler
from planner.deployment import Deployment
from planner.evidence import Evidence
from planner.performance.steps import StepModel
from planner.serving.limits import ReplicaLimits, replica_limits
from planner.sizing.layout import MemoryLayout

Place = Literal["node", "zone"]
NODE: Place = "node"
ZONE: Place = "zone"


@dataclass(frozen=True, slots=True)
class KvLink:
    """What carries a prompt's KV cache from a prefill to a decode replica.

    gb_s: of one GPU, per direction [GB/s]; latency_s: from the last byte sent until the decode replica
    may schedule the prompt [s]; kind: "switch", "mesh", "pcie", "network" or "stated" by the scenario.
    """

    gb_s: float
    latency_s: float
    kind: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Prefill:
    """The prompts' side of a disaggregated unit, beside a decode deployment that is told elsewhere.

    ``replicas`` of this deployment and ``decode_replicas`` of the other make one unit, which stands
    within one ``within``: "node" or "zone". ``memory`` holds prompts alone, until they are handed over.
    """

    deployment: Deployment
    memory: MemoryLayout
    steps: StepModel
    replicas: int
    decode_replicas: int
    link: KvLink
    within: Place

    def gpus(self, decode: Deployment) -> int:
        """GPUs of one unit."""
        return self.replicas * self.deployment.gpus + self.decode_replicas * decode.gpus

    def label(self, decode: Deployment) -> str:
        """``16x h100-sxm-80gb vllm 2P (TP2) + 3D (TP4) in a zone fp8/bf16``."""
        d = self.deployment
        return (
            f"{self.gpus(decode)}x {d.gpu.name} {d.engine.name} "
            f"{pools_label(self.replicas, degrees(d), self.decode_replicas, degrees(decode))} "
            f"in a {self.within} {d.weights.name}/{d.kv_cache.name}"
        )


def degrees(deployment: Deployment) -> tuple[int, int, int, int]:
    """TP, PP, DP and EP of a deployment."""
    d = deployment
    return d.tensor_parallel, d.pipeline_parallel, d.data_parallel, d.expert_parallel


def pools_label(
    prefill: int, prefill_degrees: Sequence[int], decode: int, decode_degrees: Sequence[int]
) -> str:
    """``2P (TP2) + 3D (TP4)``: replicas of each pool of a unit, and how each is cut."""
    return f"{prefill}P ({degrees_label(prefill_degrees)}) + {decode}D ({degrees_label(decode_degrees)})"


def degrees_label(degrees: Sequence[int]) -> str:
    """``TP2 DP4 EP8``; TP is always told, the others from 2 on."""
    named = zip(("TP", "PP", "DP", "EP"), degrees, strict=True)
    return " ".join(f"{tag}{n}" for tag, n in named if n > 1 or tag == "TP")


def decode_limits(deployment: Deployment, memory: MemoryLayout) -> ReplicaLimits:
    """The limits of a replica that only decodes: what arrives joins the running batch."""
    limits = replica_limits(deployment, memory)
    if limits.scheduler is Scheduler.PREFILL_FIRST:
        return replace(limits, scheduler=Scheduler.CHUNKED_PREFILL)
    return limits
