"""What else could have been decided: cheaper or faster, hardier, surer, or made of other things.

Everything here solves the same program again, with one bound, limit or choice changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from planner.comparison.assured_sizes import (
    ServiceAssurance,
    SizedFor,
    assurance_of,
    sized_for_probabilities,
)
from planner.comparison.deciding import Decider
from planner.comparison.latency_bounds import latency_frontier, target_of
from planner.fleet.alternatives.frontier import (
    FrontierSolution,
    ResilienceStep,
    levels_of,
    resilience_steps,
)
from planner.fleet.alternatives.k_cheapest import AlternativeFleet, best_structures
from planner.fleet.alternatives.shadow_prices import ShadowValue, shadow_values
from planner.fleet.program.problem import Problem, Resilience, Solution
from planner.scenario.fleet import Failures
from planner.scenario.schema import Scenario, Service
from planner.scenario.slo import Target
from planner.solving.options import Progress
from planner.solving.side_questions import SideQuestions
from planner.solving.stages import Decided, SolvedFleet

UNASKED = Solution("unknown", None, None, None)


@dataclass(frozen=True, slots=True)
class FrontierQuestions:
    """Which ``analyses`` to make around a decision, by name, and how far each goes.

    Latency: ``target`` of ``service`` is moved (the first of each where None), from its tightest to its
    loosest bound by ``factors`` on it; each bound is ``step_share`` below what the last fleet achieved.
    Assurance: ``demand_cv`` is the uncertainty of every forecast; each service's own where None.
    Alternatives: at most ``count``, which cost at most ``tolerance`` more, as a share.
    """

    analyses: tuple[str, ...]
    service: str | None = None
    target: str | None = None
    factors: tuple[float, float] = (0.25, 4.0)
    step_share: float = 0.25
    demand_cv: float | None = None
    tolerance: float = 0.5
    count: int = 5


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
    questions: FrontierQuestions,
    progress: Progress = lambda _message: None,
) -> Frontiers:
    """Decide ``scenario`` and make the analyses asked for.

    The fleet of the scenario as stated is the one ``planner solve`` finds, simulated where the decider's
    effort requires it; the capacities found by simulation hold for the other questions, except at
    another latency. Everything beside it has the time of ``SolveOptions.side_s`` together. Where the
    scenario has no fleet, only the latency frontier is computed. Raises InputError for an unknown service
    or target.
    """
    service, target = target_of(scenario, questions.service, questions.target)
    progress("the scenario as stated")
    solved = decider.as_solved(scenario, progress)
    decided, known = solved.decided, solved.decided.capacity_factors()
    simulation = solved.simulation if isinstance(solved, SolvedFleet) else None
    simulated = simulation is not None and bool(simulation.rounds)
    decider = replace(decider, effort=decider.effort.beside())
    asked = SideQuestions(decider.effort, progress)
    has_fleet = decided.solution.objective_usd_per_hour is not None
    wanted = {a for a in questions.analyses if a == "latency" or has_fleet}
    found = Frontiers(decided, simulated, target, service)
    if "latency" in wanted:
        points = _latency(decider, found, questions, asked)
        found = replace(found, latency=points)
    if "resilience" in wanted:
        found = replace(found, resilience=price_of_resilience(decider, scenario, known, asked))
    if "assurance" in wanted:
        demand_cv = questions.demand_cv
        sized = sized_for_probabilities(decider, scenario, demand_cv, known, asked)
        found = replace(found, assurance=assurance_of(decided, demand_cv), sized_for=sized)
    if "alternatives" in wanted:
        found = replace(found, alternatives=_alternatives(decider, decided, questions, asked))
    if "limits" in wanted:
        solve = _asking(decider, asked, "the value of limits")
        values = shadow_values(decided.problem, decided.solution, solve)
        found = replace(found, limits=values)
    return replace(found, left=tuple(dict.fromkeys(asked.left)), stopped=asked.stopped)


def _asking(decider: Decider, asked: SideQuestions, name: str) -> Callable[[Problem], Solution]:
    """A function that solves programs as the side question of that name."""
    return lambda problem: asked.ask(name, lambda: decider.solve(problem), UNASKED)


def _latency(
    decider: Decider, found: Frontiers, questions: FrontierQuestions, asked: SideQuestions
) -> tuple[FrontierSolution[Decided], ...]:
    tightest, loosest = (factor * found.target.seconds for factor in questions.factors)
    return latency_frontier(
        decider,
        found.decided.scenario,
        found.service,
        found.target,
        loosest_s=loosest,
        tightest_s=tightest,
        step_share=questions.step_share,
        asked=asked,
    )


def _alternatives(
    decider: Decider, decided: Decided, questions: FrontierQuestions, asked: SideQuestions
) -> tuple[AlternativeFleet, ...]:
    return best_structures(
        decided.problem,
        _asking(decider, asked, "other fleets"),
        count=questions.count,
        tolerance=questions.tolerance,
        base=decided.solution,
    )


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
