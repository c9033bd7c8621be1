"""What must hold after a loss, as far as counting alone can tell.

A plan says how many nodes and replicas there are, not which stands where. By counting, some loss of
``k`` of ``N`` nodes takes at least ``n k / N`` of ``n`` replicas, and a lost zone leaves the GPUs of
the others; a plan that fails such a count cannot survive the loss however it is placed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan, ServicePlan
from planner.verification.check import Check, at_least, at_most, skipped

FAMILY = "failures"


def failure_checks(plan: Plan) -> Iterator[Check]:
    """Every loss the scenario wants survived, service by service; a job does its work later."""
    lost = plan.scenario.failures
    bucketed = {s.name for s in plan.scenario.services if s.buckets is not None}
    jobs = {s.name for s in plan.scenario.services if s.job is not None}
    for service in plan.services:
        if not (lost.replicas or lost.nodes):
            break
        if service.name in jobs:
            continue
        if service.name in bucketed:
            yield skipped(FAMILY, f"{service.name} survives", "capacity differs by bucket")
            continue
        if lost.replicas:
            yield _left(service, lost.replicas, f"{lost.replicas} replicas", _worst(service))
        if lost.nodes:
            yield from _nodes_lost(plan, service, lost.nodes)
    if lost.zones and not bucketed:
        yield from _zones_lost(plan, lost.zones, jobs)


def _left(service: ServicePlan, count: int, loss: str, each_qps: float) -> Check:
    capacity = sum(g.replicas * g.capacity_qps for g in service.replica_groups)
    return at_least(
        FAMILY,
        f"{service.name} after losing {loss} [requests/s]",
        capacity - count * each_qps,
        _busiest(service),
    )


def _worst(service: ServicePlan) -> float:
    return max((g.capacity_qps for g in service.replica_groups), default=0.0)


def _nodes_lost(plan: Plan, service: ServicePlan, count: int) -> Iterator[Check]:
    """The replicas of one group that some choice of lost nodes takes at least."""
    for group in service.replica_groups:
        for gpu in group.gpus_by_type:
            nodes = sum(n.count for n in plan.nodes if n.gpu == gpu)
            if nodes:
                gone = min(group.replicas, math.ceil(group.replicas * count / nodes - 1e-9))
                of = f" of {gpu}" if len(group.gpus_by_type) > 1 else ""
                loss = f"{count} of {nodes} nodes{of}, at least {gone} replicas"
                yield _left(service, gone, loss, group.capacity_qps)


def _zones_lost(plan: Plan, count: int, jobs: set[str]) -> Iterator[Check]:
    """GPUs outside the largest zones are enough for what every service on one kind needs."""
    alone = [s for s in plan.services if len(s.replica_groups) == 1 and s.name not in jobs]
    for gpu in sorted({gpu for s in alone for gpu in s.replica_groups[0].gpus_by_type}):
        by_zone: dict[str, int] = {}
        for node in plan.nodes:
            if node.gpu == gpu:
                zone = by_zone.get(node.region, 0)
                by_zone[node.region] = zone + node.count * node.gpus_per_node
        left = sum(sorted(by_zone.values(), reverse=True)[count:])
        needed = sum(
            _replicas_needed(s, s.replica_groups[0]) * s.replica_groups[0].gpus_by_type.get(gpu, 0)
            for s in alone
        )
        yield at_most(FAMILY, f"{gpu} needed within what {count} lost zones leave", needed, left)


def _replicas_needed(service: ServicePlan, group: ReplicaGroup) -> int:
    if group.capacity_qps <= 0:
        return group.replicas + 1
    return math.ceil(_busiest(service) / group.capacity_qps - 1e-9)


def _busiest(service: ServicePlan) -> float:
    return service.served_qps if service.busiest_qps is None else service.busiest_qps
