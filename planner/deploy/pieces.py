"""What of a plan is started the same way: a replica group, or each of the two pools of its units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from planner.deploy.cluster.names import unique_labels
from planner.deploy.cluster.timetable import replicas_by_hour
from planner.deploy.launch import PoolRole
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan, ServicePlan


@dataclass(frozen=True)
class Piece:
    """Equal replicas under one name; ``group`` tells one pool as if it stood alone.

    ``units``: of both pools, ``within`` a node or a zone; 0 where replicas do both. ``by_hour``: replicas
    in each hour of the day, empty where they do not vary.
    """

    name: str
    service: ServicePlan
    group: ReplicaGroup
    pool: PoolRole
    by_hour: tuple[int, ...]
    units: int = 0
    within: str = ""


def pieces(plan: Plan) -> tuple[Piece, ...]:
    """Every replica group of ``plan`` that runs, units as their prefill and their decode pool."""
    found = [
        p for s in plan.services for g in s.replica_groups if g.replicas for p in _of(plan, s, g)
    ]
    names = unique_labels(p.name for p in found)
    return tuple(
        Piece(name, p.service, p.group, p.pool, p.by_hour, p.units, p.within)
        for name, p in zip(names, found, strict=True)
    )


def _of(plan: Plan, service: ServicePlan, group: ReplicaGroup) -> Iterator[Piece]:
    name = service.name
    if len(service.replica_groups) > 1:
        name = f"{service.name}-{group.gpu}-tp{group.tensor_parallel}"
    by_hour = replicas_by_hour(plan, group.key(service.name))
    prefill = group.prefill
    if prefill is None:
        yield Piece(name, service, group, PoolRole.BOTH, by_hour)
        return
    for pool, each, degrees, gpu in (
        (PoolRole.PREFILL, prefill.replicas, prefill.degrees, prefill.gpu or group.gpu),
        (PoolRole.DECODE, prefill.decode_replicas, group.degrees, group.gpu),
    ):
        tp, pp, dp, ep = degrees
        replicas = group.replicas * each
        alone = group.model_copy(
            update={
                "gpu": gpu,
                "tensor_parallel": tp,
                "pipeline_parallel": pp,
                "data_parallel": dp,
                "expert_parallel": ep,
                "replicas": replicas,
                "gpus": replicas * tp * pp * dp,
                "capacity_qps": group.capacity_qps / each,
                "prefill": None,
            }
        )
        hours = tuple(n * each for n in by_hour)
        yield Piece(
            f"{name}-{pool.value}", service, alone, pool, hours, group.replicas, prefill.within
        )
