"""What the loss of one replica does to the targets, and what a spare one costs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from planner.catalog.offer import Offer, Term
from planner.fleet.candidates.candidate import Candidate
from planner.plan.decision import LossOfOne, LossOutcome
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import NodeCount, ServicePlan
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.serving.split_arrivals import replica_cv
from planner.solving.operating import served_by
from planner.solving.stages import Decided

WORSE: tuple[LossOutcome, ...] = ("holds", "misses", "overloaded", "gone")


def losses_of(
    decided: Decided, services: tuple[ServicePlan, ...], nodes: tuple[NodeCount, ...]
) -> Iterator[LossOfOne]:
    """One line for each replica group, in the order of the plan."""
    requested = {s.name: s for s in decided.scenario.services}
    for planned in services:
        service = requested[planned.name]
        for group in planned.replica_groups:
            others = () if service.buckets else planned.replica_groups
            left = _left(group, others or (group,))
            outcome, missed = _at_more(service, group, left, decided)
            yield LossOfOne(
                service=service.name,
                replica=group.name,
                load=_load(group, left),
                outcome=outcome,
                missed=missed,
                spare_usd_per_hour=_spare_usd_per_hour(
                    decided.by_key[group.key(service.name)], decided, nodes
                ),
            )


Left = tuple[tuple[ReplicaGroup, int], ...]


def _left(lost: ReplicaGroup, serving: tuple[ReplicaGroup, ...]) -> Left:
    """Groups that can take the requests of a lost replica, and the replicas that remain of each."""
    counted = ((g, g.replicas - (g.name == lost.name)) for g in serving)
    return tuple((g, n) for g, n in counted if n)


def _load(lost: ReplicaGroup, left: Left) -> float | None:
    """Requests of the lost replica's group and of those beside it over what the rest are sized for."""
    if not left:
        return None
    rate = lost.routed_qps + math.fsum(g.routed_qps for g, _ in left if g.name != lost.name)
    return rate / math.fsum(n * g.capacity_qps for g, n in left)


def _at_more(
    service: Service, lost: ReplicaGroup, left: Left, decided: Decided
) -> tuple[LossOutcome, dict[str, float]]:
    """How the targets fare where the rest share the requests by their capacity: the worst of each group."""
    load = _load(lost, left)
    if load is None:
        return "gone", {}
    worst: LossOutcome = "holds"
    missed: dict[str, float] = {}
    for group, _ in left:
        outcome, late = _at_rate(service, group, load * group.capacity_qps, decided)
        worst = max(worst, outcome, key=WORSE.index)
        missed = {k: max(late.get(k, 0.0), missed.get(k, 0.0)) for k in {**missed, **late}}
    return worst, missed if worst == "misses" else {}


def _at_rate(
    service: Service, group: ReplicaGroup, rate: float, decided: Decided
) -> tuple[LossOutcome, dict[str, float]]:
    """How the targets fare at ``rate`` [requests/s] for each replica of a group, by the closed form."""
    if rate <= group.capacity_qps:
        return "holds", {}
    c, share = decided.by_key[group.key(service.name)], service.assumptions.prefix_hit_share
    cv, slo = replica_cv(service, rate), service.slo
    lengths = served_by(decided, service, c.key)
    placed = Placed(c.deployment, c.memory, c.steps, 1, rate, c.prefill)
    if not placed.keeps_up(lengths, rate, cv, share):
        return "overloaded", {}
    if rate <= placed.capacity(lengths, slo, cv, share).qps:
        return "holds", {}
    point = placed.point(lengths, slo, rate, cv, share)
    missed: dict[str, float] = {
        t.key: point.latency_s[t.key]
        for t in slo.targets
        if t.key in point.latency_s and point.latency_s[t.key] > t.seconds
    }
    return "misses", missed


def _spare_usd_per_hour(
    candidate: Candidate, decided: Decided, nodes: tuple[NodeCount, ...]
) -> float | None:
    """What one more replica costs where the plan rents [USD/h], of a unit the GPUs of both types."""
    own, pool = candidate.deployment.gpu.name, candidate.prefill
    groups = dict.fromkeys(candidate.gpus_by_type, candidate.group_sizes)
    if pool is not None and pool.deployment.gpu.name != own:
        groups[pool.deployment.gpu.name] = candidate.prefill_groups
    each = [
        _spare_on(gpu, gpus, groups[gpu] or (math.ceil(gpus),), decided.offers, nodes)
        for gpu, gpus in candidate.gpus_by_type.items()
    ]
    known = [usd for usd in each if usd is not None]
    return math.fsum(known) if len(known) == len(each) else None


def _spare_on(
    gpu: str,
    needed: float,
    groups: tuple[int, ...],
    offers: tuple[Offer, ...],
    nodes: tuple[NodeCount, ...],
) -> float | None:
    """The cheapest nodes that hold the groups, of the providers of the plan's own nodes at its terms.

    Of any size where one node holds them all; where they take several, of those that the plan has, whose
    network its replicas stand on already.
    """
    own = [n for n in nodes if n.gpu == gpu]
    if any(math.ceil(n.idle_gpus / n.count) >= needed for n in own):
        return 0.0
    at = {(n.provider, n.region, n.term) for n in own if n.term != Term.OWNED}
    sizes = {n.gpus_per_node for n in own}
    costs = (
        count * o.usd_per_hour
        for o in offers
        if o.gpu == gpu and (o.provider, o.region, o.term) in at
        if (count := _nodes_for(groups, o.gpu_count)) == 1 or (count and o.gpu_count in sizes)
    )
    return min(costs, default=None)


def _nodes_for(groups: tuple[int, ...], node_gpus: int) -> int:
    """Nodes of ``node_gpus`` that hold groups of GPUs which each share a node; 0 where one is too large."""
    free: list[int] = []
    for size in sorted(groups, reverse=True):
        if size > node_gpus:
            return 0
        at = next((i for i, left in enumerate(free) if left >= size), len(free))
        free[at:] = [node_gpus - size] if at == len(free) else [free[at] - size, *free[at + 1 :]]
    return len(free)
