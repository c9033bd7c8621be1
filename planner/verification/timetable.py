"""A fleet that changes over time, period by period: demand carried, GPUs enough, hours paid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from planner.catalog.store import Catalog
from planner.errors import PlannerError
from planner.plan import NodeCount, Plan, ReplicaGroup
from planner.verification.check import Check, at_least, at_most, equal, same, skipped
from planner.verification.physics import rebuilt

FAMILY = "timetable"


def timetable_checks(plan: Plan, catalog: Catalog) -> Iterator[Check]:
    """Every period of the plan's schedule; nothing for a fleet that never changes."""
    schedule: list[Mapping[str, Any]] = plan.details.get("schedule", [])
    if not schedule:
        return
    try:
        groups = _groups_by_kind(plan, catalog)
    except PlannerError as error:
        yield skipped(FAMILY, "the periods of the schedule", error.what)
        return
    nodes = {_offer_key(n): n for n in plan.nodes}
    for entry in schedule:
        yield from _period(plan, entry, groups, nodes)
    for kind, group in groups.items():
        most = max(entry["replicas"].get(kind, 0) for entry in schedule)
        yield equal(FAMILY, f"most replicas of {kind}", group.replicas, most)
    yield from _paid(plan, schedule, nodes)


def _period(
    plan: Plan,
    entry: Mapping[str, Any],
    groups: Mapping[str, ReplicaGroup],
    nodes: Mapping[str, NodeCount],
) -> Iterator[Check]:
    when, running = entry["period"], entry["replicas"]
    unknown = sorted({*running} - {*groups}) + sorted(
        {_alive(o) for o in entry["nodes"]} - {*nodes}
    )
    yield same(FAMILY, f"{when}: what runs is in the plan", ", ".join(unknown) or "yes", "yes")
    if unknown:
        return
    for service in plan.services:
        asked = {s.name: s for s in plan.scenario.services}[service.name]
        if asked.buckets is not None:
            yield skipped(
                FAMILY, f"{when}: {service.name} is carried", "capacity differs by bucket"
            )
            continue
        carried = math.fsum(
            n * groups[kind].capacity_qps
            for kind, n in running.items()
            if kind.startswith(f"{service.name}: ")
        )
        unserved = entry["unserved_qps"].get(service.name, 0.0)
        needed = entry["busiest_qps"][service.name] - unserved
        yield at_least(FAMILY, f"{when}: {service.name} is carried [requests/s]", carried, needed)
    if plan.scenario.sharing.gpu:
        return
    for gpu in sorted({g.gpu for g in groups.values()}):
        used = sum(
            n * groups[kind].gpus // groups[kind].replicas
            for kind, n in running.items()
            if groups[kind].gpu == gpu
        )
        rented = sum(
            n * nodes[_alive(offer)].gpus_per_node
            for offer, n in entry["nodes"].items()
            if nodes[_alive(offer)].gpu == gpu
        )
        yield at_most(FAMILY, f"{when}: {gpu} in use within those rented", used, rented)


def _paid(
    plan: Plan, schedule: list[Mapping[str, Any]], nodes: Mapping[str, NodeCount]
) -> Iterator[Check]:
    """The hours of the schedule at the nodes' prices are paid; start-ups come on top."""
    if plan.totals is None or any(_alive(o) not in nodes for e in schedule for o in e["nodes"]):
        return
    hours = math.fsum(e["hours"] for e in schedule)
    mean = math.fsum(
        e["hours"] * n * nodes[_alive(offer)].usd_per_hour_each / hours
        for e in schedule
        for offer, n in e["nodes"].items()
    )
    statement = "the mean cost covers the hours of every period [USD/h]"
    yield at_least(FAMILY, statement, plan.totals.usd_per_hour, mean)


def _groups_by_kind(plan: Plan, catalog: Catalog) -> dict[str, ReplicaGroup]:
    """Replica groups by the name the schedule gives them."""
    asked = {s.name: s for s in plan.scenario.services}
    return {
        f"{s.name}: {rebuilt(asked[s.name], g, catalog).label}": g
        for s in plan.services
        for g in s.replica_groups
    }


def _offer_key(node: NodeCount) -> str:
    return f"{node.provider}/{node.region}/{node.instance_type}/{node.term}"


def _alive(offer: str) -> str:
    """The offer behind one that starts in a later month."""
    return offer.partition(" from month ")[0]
