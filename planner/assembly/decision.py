"""The plan's first lines: margins, the fleet as predicted, the cheapest of all offers, a lost replica."""

from __future__ import annotations

import math
from collections.abc import Iterator

from planner.assembly.prices import offer_doubts
from planner.assembly.services import group_lengths
from planner.catalog.offer import Term
from planner.fleet.candidates.candidate import Candidate
from planner.fleet.candidates.derating import derating
from planner.fleet.offers.node_offers import offer_key
from planner.fleet.program.problem import Problem, Solution
from planner.plan.decision import AsPredicted, Cheapest, GroupMargin, LossOfOne, LossOutcome
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import NodeCount, ServicePlan
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.solving.stages import Decided, WithoutMargin

LESS = 1e-6  # relative: a cost that differs by less is the same


def group_margin(candidate: Candidate, service: Service) -> GroupMargin | None:
    """What a candidate's capacity allows for; None where it is sized for the prediction itself.

    A unit of two pools has the margin of its weaker pool.
    """
    if service.assurance is None:
        return None
    pools = [candidate.steps, *([candidate.prefill.steps] if candidate.prefill else [])]
    weaker = max(pools, key=lambda steps: derating(steps, service.assurance).steps)
    return GroupMargin(
        probability=service.assurance.probability,
        slowdown=derating(weaker, service.assurance).steps,
        behind=weaker.margin.name,
        passed=weaker.margin.passed,
    )


def as_predicted_of(found: WithoutMargin, decided: Decided) -> AsPredicted:
    """What the scenario would take without a margin."""
    same, fleet = found.own_kinds, found.all_kinds
    other = _usd(fleet.solution) < _usd(same.solution) * (1 - LESS)
    replicas = fleet.solution.most_replicas() if other else decided.replicas()
    largest = max(replicas, key=lambda kind: (replicas[kind] * fleet.by_key[kind].gpus, kind))
    d = fleet.by_key[largest].deployment
    return AsPredicted(
        gpus=standing_gpus(same.problem, same.solution),
        usd_per_hour=_usd(same.solution),
        settled_by=f"{d.model.name} on {d.gpu.name} with {d.engine.name} {d.engine.version}",
        cheapest_label=_label(fleet),
        cheapest_gpus=standing_gpus(fleet.problem, fleet.solution),
        cheapest_usd_per_hour=_usd(fleet.solution),
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
    offers = {o.key: o for o in wider.offers}
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
        for group in planned.replica_groups:
            candidate = decided.by_key[group.key(planned.name)]
            yield _loss(requested[planned.name], group, candidate, decided, nodes)


def _loss(
    service: Service,
    group: ReplicaGroup,
    candidate: Candidate,
    decided: Decided,
    nodes: tuple[NodeCount, ...],
) -> LossOfOne:
    left = group.replicas - 1
    outcome: LossOutcome = "gone"
    missed: dict[str, float] = {}
    if left:
        outcome, missed = _with_one_less(service, group, candidate, decided)
    return LossOfOne(
        service=service.name,
        replica=group.name,
        load=group.routed_qps / left / group.capacity_qps if left else None,
        outcome=outcome,
        missed=missed,
        spare_usd_per_hour=_spare_usd_per_hour(group, nodes),
    )


def _with_one_less(
    service: Service, group: ReplicaGroup, candidate: Candidate, decided: Decided
) -> tuple[LossOutcome, dict[str, float]]:
    """How the targets fare at the rate that each remaining replica then gets, by the closed form."""
    c, share = candidate, service.assumptions.prefix_hit_share
    rate, cv = group.routed_qps / (group.replicas - 1), max(1.0, service.arrivals.cv)
    if rate <= group.capacity_qps:
        return "holds", {}
    lengths = group_lengths(service, c.key, decided)
    placed = Placed(c.deployment, c.memory, c.steps, 1, rate, c.prefill)
    if not placed.keeps_up(lengths, rate, cv, share):
        return "overloaded", {}
    slo = service.slo
    if rate <= placed.capacity(lengths, slo, cv, share).qps:
        return "holds", {}
    point = placed.point(lengths, slo, rate, cv, share)
    missed: dict[str, float] = {
        t.key: point.latency_s[t.key]
        for t in slo.targets
        if t.key in point.latency_s and point.latency_s[t.key] > t.seconds
    }
    return "misses", missed


def _spare_usd_per_hour(group: ReplicaGroup, nodes: tuple[NodeCount, ...]) -> float | None:
    """What one more replica costs on nodes like the plan's [USD/h], of a unit the GPUs of both types."""
    each = [
        _spare_on(gpu, gpus * group.gpu_share, nodes) for gpu, gpus in group.gpus_by_type.items()
    ]
    known = [usd for usd in each if usd is not None]
    return math.fsum(known) if len(known) == len(each) else None


def _spare_on(gpu: str, needed: float, nodes: tuple[NodeCount, ...]) -> float | None:
    own = [n for n in nodes if n.gpu == gpu]
    if any(math.ceil(n.idle_gpus / n.count) >= needed for n in own):
        return 0.0
    hired = [n for n in own if n.term != Term.OWNED]
    costs = (math.ceil(needed / n.gpus_per_node) * n.usd_per_hour_each for n in hired)
    return min(costs, default=None)


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
