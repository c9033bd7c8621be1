"""Cost against one latency target: the scenario solved again at tighter and looser bounds."""

from __future__ import annotations

import math

from planner.comparison.deciding import Decider
from planner.errors import InputError, nearest
from planner.fleet.alternatives.frontier import FrontierSolution, trace_frontier
from planner.scenario.schema import Scenario, Service
from planner.scenario.slo import Target
from planner.solving.side_questions import SideQuestions
from planner.solving.stages import Decided


def read_factors(text: str) -> tuple[float, float]:
    """Two positive factors from ``0.25..4``; raises InputError when they are not."""
    low, dots, high = text.partition("..")
    try:
        factors = (float(low), float(high))
    except ValueError:
        factors = (0.0, 0.0)
    if not (dots and 0 < factors[0] <= factors[1] < math.inf):
        raise InputError("not a range of factors", found=text, allowed="LOW..HIGH, such as 0.25..4")
    return factors


def target_of(scenario: Scenario, service: str | None, key: str | None) -> tuple[Service, Target]:
    """The service and the target whose bound is walked; by default the first of each.

    Raises InputError when there is no such service or target.
    """
    names = {s.name: s for s in scenario.services}
    chosen = next(iter(names.values())) if service is None else names.get(service)
    if chosen is None:
        raise InputError(
            "no such service",
            where="--service",
            found=service,
            allowed=", ".join(names),
            action=nearest(str(service), names),
        )
    targets: dict[str, Target] = {t.key: t for t in chosen.slo.targets}
    if key is not None and key not in targets:
        raise InputError(
            "the service has no such target",
            where="--target",
            found=key,
            allowed=", ".join(targets),
            action=nearest(key, targets),
        )
    return chosen, targets[key] if key else next(iter(targets.values()))


def latency_frontier(
    decider: Decider,
    scenario: Scenario,
    service: Service,
    target: Target,
    *,
    loosest_s: float,
    tightest_s: float,
    step_share: float,
    asked: SideQuestions,
) -> tuple[FrontierSolution[Decided], ...]:
    """Cost [USD/h] against the bound on one target [s], all else as stated.

    A fleet achieves the slowest of its replica kinds at their capacity.
    """

    def cheapest_under(bound_s: float) -> tuple[float, float, Decided] | None:
        tighter = with_bound(scenario, service, target, bound_s)
        name = f"{target.key} {bound_s:.3g} s"
        decided = asked.ask(name, lambda: decider.decide(tighter), None)
        if decided is None:
            return None
        cost, used = decided.solution.objective_usd_per_hour, decided.replicas()
        if cost is None or not decided.has_fleet:
            return None
        at_capacity = [
            decided.by_key[k].capacity.latency_s.get(target.key, bound_s)
            for k in used
            if decided.by_key[k].service == service.name
        ]
        return cost, min(max(at_capacity, default=bound_s), bound_s), decided

    return trace_frontier(
        cheapest_under, loosest=loosest_s, tightest=tightest_s, step_share=step_share
    )


def with_bound(scenario: Scenario, service: Service, target: Target, bound_s: float) -> Scenario:
    """The scenario with one service's target at another value [s]."""
    targets = tuple(
        t.model_copy(update={"seconds": bound_s}) if t.key == target.key else t
        for t in service.slo.targets
    )
    slo = service.slo.model_copy(update={"targets": targets})
    services = tuple(
        s.model_copy(update={"slo": slo}) if s.name == service.name else s
        for s in scenario.services
    )
    return scenario.model_copy(update={"services": services})
