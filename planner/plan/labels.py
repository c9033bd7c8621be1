"""What is compared, by name: a replica's layout, a rented offer, a plan's whole choice; matching."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from planner.catalog.offer import Term
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import NodeCount, Plan, ServicePlan

T = TypeVar("T")

MISSES = "misses a target"
ROUNDING = 1e-6  # of a rate: less than this is not shown


def rented(plan: Plan) -> tuple[NodeCount, ...]:
    """The plan's nodes by offer: what is paid part of the time joined to what is always paid.

    ``count`` is then the most that are paid at once, ``hours_share`` their mean share of the time.
    """
    by_offer: dict[str, list[NodeCount]] = {}
    for node in plan.nodes:
        by_offer.setdefault(node.name, []).append(node)
    return tuple(
        levels[0].model_copy(
            update={
                "count": (count := sum(n.count for n in levels)),
                "usd_per_hour": sum(n.usd_per_hour for n in levels),
                "hours_share": sum(n.count * n.hours_share for n in levels) / count,
                "idle_gpus": sum(n.idle_gpus for n in levels),
            }
        )
        if len(levels) > 1
        else levels[0]
        for levels in by_offer.values()
    )


def costliest(services: Iterable[ServicePlan], most: int) -> tuple[ServicePlan, ...]:
    """The services that cost most, at most ``most`` of them, in their own order."""
    served = [s for s in services if s.replica_groups]
    kept = {s.name for s in sorted(served, key=lambda s: -s.usd_per_hour)[:most]}
    return tuple(s for s in served if s.name in kept)


def busiest_qps(service: ServicePlan) -> float:
    """The rate the service's replicas are sized for [requests/s], that of the busiest period."""
    if service.busiest_qps is not None:
        return service.busiest_qps or service.rate_qps
    return sum(g.routed_qps for g in service.replica_groups) or service.rate_qps


def held_qps(service: ServicePlan) -> float:
    """What the service's replicas hold at their busiest [requests/s]: those that run then."""
    if service.busiest_qps is not None:
        return service.busiest_qps + service.headroom_qps
    return sum(g.capacity_qps * g.replicas for g in service.replica_groups)


def comes_and_goes(plan: Plan, service: ServicePlan, group: ReplicaGroup) -> bool:
    """Whether fewer than ``group.replicas`` run in some period."""
    key = group.key(service.name)
    return any(period.replicas.get(key, 0) < group.replicas for period in plan.periods)


def leaves(node: NodeCount, plan: Plan) -> bool:
    """Whether nodes that run today stay only until what replaces them runs: paid for, and in no period."""
    if node.term != Term.OWNED or plan.scenario.migration.overlap_hours <= 0:
        return False
    standing = {offer for period in plan.periods for offer in period.nodes}
    return bool(standing) and node.path not in standing


def choice_of(plan: Plan) -> tuple[str, ...]:
    """What is deployed for whom and how it is paid, counts left out; empty without a plan."""
    several = len(plan.services) > 1
    layouts = {
        f"{service.name}: {group.name}" if several else group.name
        for service in plan.services
        for group in service.replica_groups
    }
    return (*sorted(layouts), *sorted({n.term for n in plan.nodes}))


def matched(old: Mapping[str, T], new: Mapping[str, T]) -> Iterator[tuple[str, T | None, T | None]]:
    """Every key of either mapping with both values, None where absent; the old order first."""
    for key in (*old, *(k for k in new if k not in old)):
        yield key, old.get(key), new.get(key)


def headroom_qps(service: ServicePlan) -> float:
    """What a service's replicas hold beyond its busiest demand [requests/s]; rounding is none."""
    spare = service.headroom_qps
    return spare if spare > ROUNDING * busiest_qps(service) else 0.0


def goodput_target(plan: Plan, service: str) -> float | None:
    """Share of the requests that must meet all targets at once; None where each target stands alone."""
    requested = {s.name: s.slo.goodput for s in plan.scenario.services}
    return requested.get(service)


def simulated(plan: Plan) -> str:
    """Whether the printed fleet was simulated: "yes", ``MISSES``, or "no"; "" without a fleet."""
    if plan.totals is None:
        return ""
    rounds: dict[int, bool] = {}
    for r in plan.verification.rounds:
        rounds[r.round] = rounds.get(r.round, True) and r.holds
    if not rounds:
        return "no"
    return "yes" if any(rounds.values()) else MISSES
