"""The plan's first lines: margins, the fleet as predicted, the cheapest of all offers."""

from __future__ import annotations

from planner.assembly.prices import offer_doubts
from planner.evidence import Evidence
from planner.fleet.candidates.candidate import Candidate
from planner.fleet.candidates.derating import derating
from planner.fleet.offers.node_offers import offer_key
from planner.fleet.program.problem import Solution
from planner.plan.decision import AsPredicted, Cheapest, GroupMargin
from planner.plan.schema import ServicePlan
from planner.scenario.schema import Service
from planner.solving.schedule import served_beside
from planner.solving.stages import Decided, WithoutMargin

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
        gpus=same.solution.most_gpus(same.problem),
        usd_per_hour=_usd(same.solution),
        settled_by=f"{d.model.name} on {d.gpu.name} with {d.engine.name} {d.engine.version}",
        cheapest_label=fleet.label,
        cheapest_gpus=fleet.solution.most_gpus(fleet.problem),
        cheapest_usd_per_hour=_usd(fleet.solution),
        status=unproved[0] if unproved else "optimal",
        served_qps=served_beside(same.solution, same),
        cheapest_served_qps=served_beside(fleet.solution, fleet),
    )


def _usd(solution: Solution) -> float:
    """What a solution costs [USD/h]."""
    return solution.objective_usd_per_hour or 0.0


def cheapest_of(wider: Decided, as_of: str | None) -> Cheapest:
    """The cheapest fleet of all offers, which is not the plan's."""
    offers = wider.offers_by_key
    most: dict[str, int] = {}
    for (key, _), n in sorted(wider.solution.billed.items()):
        if n:
            most[key] = max(most.get(key, 0), n)
    rented = [(offers[offer_key(key)], n) for key, n in most.items()]
    return Cheapest(
        label=wider.label,
        gpus=wider.solution.most_gpus(wider.problem),
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
