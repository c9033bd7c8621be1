"""The cheapest fleet alone: only deployments that could be part of it are sized.

At its ceiling (``planner.fleet.cheapest.ceilings``) a deployment needs the fewest replicas, and a fleet
with them costs at least what their GPUs cost at the lowest price of their type. The deployments that are
cheapest so are sized and solved for; whatever cannot cost less than that fleet is left out, the rest is
sized too. What is proved of the cost, and which fleet it is, is the same as with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.catalog.offer import Offer
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.cheapest.ceilings import CeilingSet, ceilings_of
from planner.fleet.cheapest.ranking import cheapest_of, ranked_by_cost
from planner.fleet.periods import Calendar
from planner.fleet.program.capacity_factors import scaled
from planner.fleet.program.too_dear import without_too_dear
from planner.fleet.sources import Sources
from planner.scenario.schema import Scenario
from planner.solving.build_problem import calendar_for, decide, problem_of
from planner.solving.options import SolveOptions
from planner.solving.stages import Decided, Framed

FIRST = 4  # deployments of a service that are sized at first, the cheapest at their ceilings


def cheapest_alone(
    scenario: Scenario,
    offers: tuple[Offer, ...],
    sources: Sources,
    effort: SolveOptions,
    factors: Mapping[str, float] | None = None,
    *,
    cost_alone: bool = False,
) -> Decided | None:
    """The cheapest fleet, decided among the deployments that could be part of it.

    ``factors``: on the predicted capacity of each kind, known from a simulation; ``cost_alone``: the
    fleet may be any of the equally cheap ones. None where that is not proved so, and where there is none:
    all deployments are then to be sized.
    """
    if not _is_plain(scenario):
        return None
    catalog, known = sources.catalog, sources.known
    calendar = calendar_for(scenario, catalog)
    if len(calendar.hours) > 1:
        return None
    shares = scenario.sharing.gpu
    found = {
        s.name: ceilings_of(s, catalog, offers, sources.calibration, shares, known)
        for s in scenario.services
    }
    at_ceilings = {name: c.at_ceilings for name, c in found.items()}
    optimistic = problem_of(scenario, at_ceilings, offers, catalog, calendar)
    optimistic = scaled(optimistic, factors or {})
    ranked = ranked_by_cost(optimistic)
    if ranked is None:
        return None
    count, chosen = FIRST, cheapest_of(ranked, FIRST)
    while True:
        framed = _framed(scenario, offers, sources, calendar, found, chosen)
        problem = scaled(framed.problem, factors or {})
        solution = decide(problem, effort, cost_alone=cost_alone, proved=sources.proved)
        cost = solution.objective_usd_per_hour
        if cost is None:
            if count >= max(map(len, ranked.values())):
                return None
            count *= 2
            chosen = cheapest_of(ranked, count)
            continue
        left = {k.key for k in without_too_dear(optimistic, cost).kinds} - chosen
        if not left:
            return Decided(framed, problem, solution)
        chosen |= left


def _is_plain(scenario: Scenario) -> bool:
    """Whether dear GPU types are of no use, and every deployment has a ceiling."""
    return (
        scenario.serve == "all"
        and not scenario.existing
        and scenario.spot.max_share >= 1
        and all(s.job is None and s.search.disaggregation is None for s in scenario.services)
    )


def _framed(
    scenario: Scenario,
    offers: tuple[Offer, ...],
    sources: Sources,
    calendar: Calendar,
    found: Mapping[str, CeilingSet],
    chosen: set[str],
) -> Framed:
    sets: dict[str, CandidateSet] = {name: c.sized(chosen) for name, c in found.items()}
    problem = problem_of(scenario, sets, offers, sources.catalog, calendar)
    return Framed(scenario, offers, sets, problem, calendar)
