"""The plan's first lines: margins, the fleet as predicted, the cheapest of all offers, a lost replica."""

from __future__ import annotations

import math
from collections.abc import Iterator

from planner.assembly.prices import offer_doubts
from planner.catalog.offer import Offer, Term
from planner.evidence import Evidence
from planner.fleet.candidates.candidate import Candidate
from planner.fleet.candidates.derating import derating
from planner.fleet.offers.node_offers import offer_key
from planner.fleet.program.problem import Problem, Solution
from planner.plan.decision import AsPredicted, Cheapest, GroupMargin, LossOfOne, LossOutcome
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import NodeCount, ServicePlan
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.solving.operating import served_by
from planner.solving.schedule import served_beside
from planner.solving.stages import Decided, WithoutMargin

WORSE: tuple[LossOutcome, ...] = ("holds", "misses", "overloaded", "gone")
LESS = 1e-6  # relative: a cost that differs by less is the same


def group_margin(candidate: Candidate, service: Service) -> GroupMargin | None:
    """What a candidate's capacity allows for; None where it is sized for the prediction itself.

    A unit of two pools has the margin of its weaker pool. Where the acceptance of drafts is assumed, so is
    the margin: it covers the time of a step, not the tokens that a step yields.
    """
    if service.assurance is None:
        return None
    pools = [candidate.steps, *([candidate.prefill.steps] if candidate.prefill else [])]
    draft = candidate.deployment.draft
    weaker = max(pools, key=lambda steps: derating(steps, service.assurance).steps)
    return GroupMargin(
        probability=service.assurance.probability,
        slowdown=derating(weaker, service.assurance).steps,
        behind=weaker.margin.name,
        passed=weaker.margin.passed and (draft is None or draft.evidence != Evidence.ASSUMED),
    )


def as_predicted_of(found: WithoutMargin, decided: Decided) -> AsPredicted | None:
    """What the scenario would take without a margin; None where no fleet was found in its time."""
    same, fleet = found.own_kinds, found.all_kinds
    other = _usd(fleet.solution) < _usd(same.solution) * (1 - LESS)
    replicas = fleet.solution.most_replicas() if other else decided.replicas()
    if not replicas:
        return None
    largest = max(replicas, key=lambda kind: (replicas[kind] * fleet.by_key[kind].gpus, kind))
    d = fleet.by_key[largest].deployment
    unproved = [s for s in (same.solution.status, fleet.solution.status) if s != "optimal"]
    return AsPredicted(
        gpus=standing_gpus(same.problem, same.solution),
        usd_per_hour=_usd(same.solution),
        settled_by=f"{d.model.name} on {d.gpu.name} with {d.engine.name} {d.engine.version}",
        cheapest_label=_label(fleet),
        cheapest_gpus=standing_gpus(fleet.problem, fleet.solution),
        cheapest_usd_per_hour=_usd(fleet.solution),
        status=unproved[0] if unproved else "optimal",
        served_qps=served_beside(same.solution, same),
        cheapest_served_qps=served_beside(fleet.solution, fleet),
    )


def _usd(solution: Solution) -> float:
    """What a solution costs [USD/h]."""
    return solution.objective_usd_per_hour or 0.0


def _label(decided: Decided) -> str:
    """The replicas of a fleet, kind by kind."""
    counted = decided.replicas().items()
    return "; ".join(f"{n}x ({decided.by_key[kind].label})" for kind, n in counted)


def standing_gpus(problem: Problem, solution: Solution) -> int:
    """GPUs billed in the period with the most."""
    each = {o.key: o.gpus_per_node for o in problem.offers}
    return max(
        sum(n * each[key] for (key, q), n in solution.billed.items() if q == t)
        for t in problem.periods
    )


def cheapest_of(wider: Decided, as_of: str | None) -> Cheapest:
    """The cheapest fleet of all offers, which is not the plan's."""
    offers = wider.offers_by_key
    most: dict[str, int] = {}
    for (key, _), n in sorted(wider.solution.billed.items()):
        if n:
            most[key] = max(most.get(key, 0), n)
    rented = [(offers[offer_key(key)], n) for key, n in most.items()]
    return Cheapest(
        label=_label(wider),
        gpus=standing_gpus(wider.problem, wider.solution),
        usd_per_hour=_usd(wider.solution),
        status=wider.solution.status,
        served_qps=served_beside(wider.solution, wider),
        offers=tuple(f"{n} x {o.instance_type} at {o.provider} ({o.region})" for o, n in rented),
        doubts=tuple(
            "; ".join(
                (
                    f"{o.tier or 'no'} tier, price confidence {o.confidence}",
                    *offer_doubts(o, n, as_of),
                )
            )
            for o, n in rented
        ),
    )


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
    cv, slo = service.prompts_cv, service.slo
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


def with_margins(services: tuple[ServicePlan, ...], decided: Decided) -> tuple[ServicePlan, ...]:
    """The services with the margin of each group written out."""
    requested = {s.name: s for s in decided.scenario.services}
    return tuple(
        planned.model_copy(
            update={
                "replica_groups": tuple(
                    g.model_copy(
                        update={
                            "margin": group_margin(
                                decided.by_key[g.key(planned.name)], requested[planned.name]
                            )
                        }
                    )
                    for g in planned.replica_groups
                )
            }
        )
        for planned in services
    )
