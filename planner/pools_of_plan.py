"""The prefill pool that a plan tells of, brought back to life beside its decode deployment."""

from __future__ import annotations

from dataclasses import replace

from planner.deployment import Deployment
from planner.errors import InputError
from planner.evidence import Evidence
from planner.performance.factors import Calibration
from planner.performance.model import step_model
from planner.plan import ReplicaGroup
from planner.plan_pools import PrefillPool
from planner.serving.pools import KvLink, Prefill
from planner.sizing.memory import memory_layout


def prefill_of(decode: Deployment, group: ReplicaGroup, calibration: Calibration) -> Prefill | None:
    """The other pool of a replica group's units; None where its replicas do both.

    Raises InputError for a count, a rate or a grade that makes no sense.
    """
    told = group.prefill
    if told is None:
        return None
    deployment = prefill_deployment(decode, told)
    return Prefill(
        deployment,
        memory_layout(deployment),
        step_model(deployment, calibration),
        told.replicas,
        told.decode_replicas,
        KvLink(told.link_gb_s, told.link_latency_s, told.link, Evidence(told.link_evidence)),
        told.within,
    )


def prefill_deployment(decode: Deployment, told: PrefillPool) -> Deployment:
    """The prefill pool's layout: the decode pool's, cut by degrees of its own."""
    if min(*told.degrees, told.replicas, told.decode_replicas) < 1:
        raise InputError("a pool has at least one replica and one GPU along each axis")
    if told.link_gb_s <= 0 or told.link_latency_s < 0:
        raise InputError("a KV link has a rate above 0", found=told.link_gb_s)
    if told.link_evidence not in list(Evidence):
        raise InputError("no such grade", found=told.link_evidence, allowed=", ".join(Evidence))
    tp, pp, dp, ep = told.degrees
    return replace(
        decode,
        tensor_parallel=tp,
        pipeline_parallel=pp,
        data_parallel=dp,
        expert_parallel=ep,
    )
