"""A fleet that changes over time, period by period: demand carried, GPUs enough, hours paid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from planner.plan.periods import Period
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.verification.billed_nodes import BilledNodes, billed_nodes
from planner.verification.check import Check, at_least, at_most, equal, same, skipped
from planner.verification.packing import packing_of

FAMILY = "timetable"


def timetable_checks(plan: Plan) -> Iterator[Check]:
    """Every period of the plan's schedule; nothing for a fleet that never changes."""
    schedule = plan.periods
    if not plan.varies:
        return
    groups = {g.key(s.name): g for s in plan.services for g in s.replica_groups}
    periods = billed_nodes(plan)
    for entry, nodes in zip(schedule, periods, strict=True):
        yield from _period(plan, entry, groups, nodes)
    for kind, group in groups.items():
        most = max(entry.replicas.get(kind, 0) for entry in schedule)
        yield equal(FAMILY, f"most replicas of {kind}", group.replicas, most)
    if plan.totals is not None:
        hours = [entry.hours for entry in schedule]
        paid = math.fsum(h * p.usd_per_hour for h, p in zip(hours, periods, strict=True))
        yield at_least(
            FAMILY,
            "the mean cost covers the hours of every period [USD/h]",
            plan.totals.usd_per_hour,
            paid / math.fsum(hours),
        )


def _period(
    plan: Plan, entry: Period, groups: Mapping[str, ReplicaGroup], nodes: BilledNodes
) -> Iterator[Check]:
    when, running = entry.period, entry.replicas
    unknown = (*sorted({*running} - {*groups}), *nodes.unknown)
    yield same(FAMILY, f"{when}: what runs is in the plan", ", ".join(unknown) or "yes", "yes")
    if unknown:
        return
    requested = {s.name: s for s in plan.scenario.services}
    for service in plan.services:
        if requested[service.name].buckets is not None:
            yield skipped(
                FAMILY, f"{when}: {service.name} is carried", "capacity differs by bucket"
            )
            continue
        carried = math.fsum(
            running.get(g.key(service.name), 0) * g.capacity_qps for g in service.replica_groups
        )
        unserved = entry.unserved_qps.get(service.name, 0.0)
        needed = entry.busiest_qps.get(service.name, 0.0) - unserved
        yield at_least(FAMILY, f"{when}: {service.name} is carried [requests/s]", carried, needed)
    yield from packing_of([(groups[k], n) for k, n in running.items() if n], nodes, f"{when}: ")
    if plan.scenario.sharing.gpu:
        return
    for gpu in sorted({gpu for g in groups.values() for gpu in g.gpus_by_type}):
        used = sum(n * groups[kind].gpus_by_type.get(gpu, 0) for kind, n in running.items())
        statement = f"{when}: {gpu} in use within those rented"
        yield at_most(FAMILY, statement, used, nodes.gpus(gpu=gpu))
