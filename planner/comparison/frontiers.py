"""What else could have been decided: cheaper or faster, hardier, surer, or made of other things.

Everything here solves the same program again, with one bound, limit or choice changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

from planner.comparison.deciding import Decider
from planner.errors import InputError, nearest
from planner.fleet.alternatives.frontier import (
    FrontierSolution,
    ResilienceStep,
    levels_of,
    resilience_steps,
    trace_frontier,
)
from planner.fleet.alternatives.k_cheapest import AlternativeFleet, best_structures
from planner.fleet.alternatives.shadow_prices import ShadowValue, shadow_values
from planner.fleet.candidates.assurance import uncertainty
from planner.fleet.candidates.candidate import Candidate
from planner.fleet.candidates.derating import sigma_of_cv
from planner.fleet.candidates.robustness import SizeChance, size_chances
from planner.fleet.program.problem import Problem, Resilience, Solution
from planner.scenario.fleet import Assurance, Failures
from planner.scenario.schema import Scenario, Service
from planner.scenario.slo import Target
from planner.solving.options import Progress
from planner.solving.side_questions import SideQuestions
from planner.solving.stages import Decided, SolvedFleet

MOST_TIMES_PLANNED = 5
UNASKED = Solution("unknown", None, None, None)
PROBABILITIES = (0.5, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class ServiceAssurance:
    """Probability to hold against the number of replicas, for a service of one replica kind."""

    service: str
    candidate: Candidate
    model_sigma: float
    planned_replicas: int
    chances: tuple[SizeChance, ...]


@dataclass(frozen=True)
class SizedFor:
    """The cheapest fleet sized to hold every target with a probability."""

    probability: float
    decided: Decided


@dataclass(frozen=True)
class Frontiers:
    """The analyses requested around one decision; what was not requested stays empty.

    ``simulated``: whether the fleet was checked in the simulator, as ``planner solve`` does; ``left``: what
    there was no time for; ``stopped``: it was ended by Ctrl-C.
    """

    decided: Decided
    simulated: bool
    target: Target
    service: Service
    latency: tuple[FrontierSolution[Decided], ...] = ()
    resilience: tuple[ResilienceStep[Decided], ...] = ()
    alternatives: tuple[AlternativeFleet, ...] = ()
    limits: tuple[ShadowValue, ...] = ()
    assurance: tuple[ServiceAssurance, ...] = ()
    sized_for: tuple[SizedFor, ...] = ()
    left: tuple[str, ...] = ()
    stopped: bool = False


def explore(
    decider: Decider,
    scenario: Scenario,
    questions: Collection[str],
    *,
    service: str | None = None,
    target: str | None = None,
    factors: tuple[float, float] = (0.25, 4.0),
    step_share: float = 0.25,
    demand_cv: float | None = None,
    tolerance: float = 0.5,
    count: int = 5,
    progress: Progress = lambda _message: None,
) -> Frontiers:
    """Decide ``scenario`` and answer the ``questions``: "latency", "resilience", "assurance", ...

    The fleet of the scenario as stated is the one ``planner solve`` finds, simulated where the decider's
    effort requires it; the capacities found by simulation hold for the other questions, except at
    another latency. Everything beside it has the time of ``SolveOptions.side_s`` together.

    ``factors``: tightest and loosest bound to try, as factors on the target; where the scenario has no
    fleet, only the latency frontier is computed. ``demand_cv``: uncertainty of every forecast; each
    service's own when None. Raises InputError for an unknown service or
    target.
    """
    requested, bound = target_of(scenario, service, target)
    progress("the scenario as stated")
    solved = decider.as_solved(scenario, progress)
    decided, known = solved.decided, solved.decided.capacity_factors()
    simulated = (
        isinstance(solved, SolvedFleet)
        and solved.simulation is not None
        and bool(solved.simulation.rounds)
    )
    found = Frontiers(decided, simulated, bound, requested)
    decider = replace(decider, effort=decider.effort.beside())
    asked = SideQuestions(decider.effort, progress)

    def solve_for(name: str) -> Callable[[Problem], Solution]:
        return lambda problem: asked.ask(name, lambda: decider.solve(problem), UNASKED)

    if "latency" in questions:
        points = latency_frontier(
            decider,
            scenario,
            requested,
            bound,
            loosest_s=bound.seconds * factors[1],
            tightest_s=bound.seconds * factors[0],
            step_share=step_share,
            asked=asked,
        )
        found = replace(found, latency=points)
    if decided.solution.objective_usd_per_hour is not None:
        if "resilience" in questions:
            found = replace(found, resilience=price_of_resilience(decider, scenario, known, asked))
        if "assurance" in questions:
            found = replace(
                found,
                assurance=assurance_of(decided, demand_cv),
                sized_for=sized_for_probabilities(decider, scenario, demand_cv, known, asked),
            )
        if "alternatives" in questions:
            others = best_structures(
                decided.problem,
                solve_for("other fleets"),
                count=count,
                tolerance=tolerance,
                base=decided.solution,
            )
            found = replace(found, alternatives=others)
        if "limits" in questions:
            values = shadow_values(
                decided.problem, decided.solution, solve_for("the value of limits")
            )
            found = replace(found, limits=values)
    return replace(found, left=tuple(dict.fromkeys(asked.left)), stopped=asked.stopped)


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


def price_of_resilience(
    decider: Decider, scenario: Scenario, factors: Mapping[str, float], asked: SideQuestions
) -> tuple[ResilienceStep[Decided], ...]:
    """What it costs to survive a replica, a node, a zone or a spot pool, whatever is required now."""

    levels = levels_of(zones=True, spot="spot" in scenario.prices.terms)
    names = {resilience: name for name, resilience in levels.items()}

    def cheapest_surviving(resilience: Resilience) -> tuple[float | None, Decided] | None:
        failures = Failures(
            replicas=resilience.replicas, nodes=resilience.nodes, zones=resilience.zones
        )
        spot = scenario.spot.model_copy(update={"pools_lost": resilience.spot_pools})
        requested = scenario.model_copy(update={"failures": failures, "spot": spot})
        label = f"the price of surviving the loss of {names[resilience]}"
        decided = asked.ask(label, lambda: decider.decide(requested, factors), None)
        return None if decided is None else (decided.solution.objective_usd_per_hour, decided)

    return resilience_steps(levels, cheapest_surviving)


def _forecast_cv(service: Service, demand_cv: float | None) -> float:
    """How uncertain a forecast is taken to be: as said here, or as the service says."""
    if demand_cv is not None:
        return demand_cv
    return service.assurance.demand_cv if service.assurance is not None else 0.0


def assurance_of(decided: Decided, demand_cv: float | None) -> tuple[ServiceAssurance, ...]:
    """For each service on one replica kind: how sure its number of replicas is in the busiest period."""
    tables = []
    used, factors = decided.replicas(), decided.capacity_factors()
    for service in decided.scenario.services:
        kinds = [k for k in used if decided.by_key[k].service == service.name]
        if len(kinds) != 1 or service.buckets is not None:
            continue
        rates = [d.rates_qps for d in decided.problem.demands if d.service == service.name]
        candidate = decided.by_key[kinds[0]]
        unsure = uncertainty(candidate, service).times(factors.get(kinds[0], 1.0))
        chances = size_chances(
            unsure,
            gpus_per_replica=candidate.gpus,
            rate_qps=max(map(sum, zip(*rates, strict=True))),
            demand_sigma=sigma_of_cv(_forecast_cv(service, demand_cv)),
            up_to=0.99,
            max_replicas=MOST_TIMES_PLANNED * (used[kinds[0]] + 1),
        )
        tables.append(
            ServiceAssurance(service.name, candidate, unsure.model_sigma, used[kinds[0]], chances)
        )
    return tuple(tables)


def sized_for_probabilities(
    decider: Decider,
    scenario: Scenario,
    demand_cv: float | None,
    factors: Mapping[str, float],
    asked: SideQuestions,
) -> tuple[SizedFor, ...]:
    """The cheapest fleet at each probability to hold every target."""
    sized = []
    for probability in PROBABILITIES:
        services = tuple(
            s.model_copy(
                update={
                    "assurance": Assurance(
                        probability=probability, demand_cv=_forecast_cv(s, demand_cv)
                    )
                }
            )
            for s in scenario.services
        )
        surer = scenario.model_copy(update={"services": services})
        label = f"sized for a probability of {probability:g}"
        decided = asked.ask(label, partial(decider.decide, surer, factors), None)
        if decided is not None:
            sized.append(SizedFor(probability, decided))
    return tuple(sized)
