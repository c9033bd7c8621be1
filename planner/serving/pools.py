"""A unit of two pools: replicas that only prefill, replicas that only decode, and the link between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from planner.catalog.engine import Scheduler
from planner.deployment import Deployment, degrees_label, replica_name
from planner.evidence import Evidence
from planner.performance.steps import StepModel
from planner.serving.limits import ReplicaLimits, replica_limits
from planner.sizing.layout import MemoryLayout

Place = Literal["node", "zone"]
NODE: Place = "node"
ZONE: Place = "zone"


@dataclass(frozen=True, slots=True)
class KvLink:
    """The network link that a prompt's KV cache takes from a prefill to a decode replica.

    gb_s: of one GPU, per direction [GB/s]; latency_s: from the last byte sent until the decode replica
    may schedule the prompt [s]; kind: "switch", "mesh", "pcie", "network" or "stated" by the scenario.
    """

    gb_s: float
    latency_s: float
    kind: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Prefill:
    """The prompts' side of a disaggregated unit, beside a decode deployment that is reported elsewhere.

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
        parallel = pools_label(
            self.replicas, d.degrees, self.decode_replicas, decode.degrees, self.within
        )
        return replica_name(
            self.gpus(decode),
            gpus_named(d.gpu.name, decode.gpu.name),
            d.engine.name,
            parallel,
            d.weights.name,
            d.kv_cache.name,
            speculation=decode.speculation,
            network_gb_s=slower_network(
                d.gpu.offered_network_gb_s, decode.gpu.offered_network_gb_s
            ),
        )


def slower_network(prefill: float | None, decode: float | None) -> float | None:
    """The less of what nodes of either pool's GPU offer [GB/s]; None where both have the usual."""
    return min((gb_s for gb_s in (prefill, decode) if gb_s is not None), default=None)


def gpus_named(prefill: str, decode: str) -> str:
    """The GPU types of a unit: one where both pools have it, else ``l40s+h100-sxm-80gb``."""
    return decode if prefill in ("", decode) else f"{prefill}+{decode}"


def pools_label(
    prefill: int,
    prefill_degrees: Sequence[int],
    decode: int,
    decode_degrees: Sequence[int],
    within: Place,
) -> str:
    """``2P (TP2) + 3D (TP4) in a zone``: replicas of each pool of a unit, how each is cut, and where."""
    prompts, tokens = degrees_label(prefill_degrees), degrees_label(decode_degrees)
    return f"{prefill}P ({prompts}) + {decode}D ({tokens}) in a {within}"


def decode_limits(deployment: Deployment, memory: MemoryLayout) -> ReplicaLimits:
    """The limits of a replica that only decodes: what arrives joins the running batch."""
    limits = replica_limits(deployment, memory)
    if limits.scheduler is Scheduler.PREFILL_FIRST:
        return replace(limits, scheduler=Scheduler.CHUNKED_PREFILL)
    return limits
