"""The fleets in the plan's decision: the one without a margin, and the cheapest of all offers.

Both are the plan's program again, solved to the same proof. Without a margin every candidate is sized
again, solved for over all kinds and over the plan's own, and simulated where the plan was. The plan
takes offers of the admitted tiers and price confidences; the other row takes every offer, shares the
candidates of GPUs that both know, and is sized by the closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.catalog.offer import Offer
from planner.fleet.candidates.candidate import Candidate, CandidateSet
from planner.fleet.offers.admitted import widened
from planner.fleet.program.problem import Problem, Solution
from planner.fleet.program.too_dear import without_too_dear
from planner.fleet.sources import Sources
from planner.scenario.schema import Service
from planner.solving.build_problem import decide
from planner.solving.operating import operating
from planner.solving.options import SolveOptions
from planner.solving.scenario_program import frame
from planner.solving.stages import Decided, FleetAtLoad, Framed, WithoutMargin

LEAST_SECONDS = 5.0  # for each row
MOST_TIMES = 2.0  # what the plan's own program took
LESS = 1e-6  # relative: a cost that differs by less is the same


def effort_of_rows(decided: Decided, effort: SolveOptions) -> SolveOptions:
    """How long each row may take: at least twice what the plan's own proof took."""
    seconds = LEAST_SECONDS
    if decided.solution.status == "optimal":
        seconds = max(seconds, MOST_TIMES * decided.solution.seconds)
    return replace(effort, time_limit_s=min(effort.time_limit_s, seconds))


def without_margin(
    decided: Decided, sources: Sources, effort: SolveOptions
) -> WithoutMargin | None:
    """The fleet sized for the prediction itself; None where nothing has a margin."""
    if all(s.assurance is None for s in decided.scenario.services):
        return None
    services = tuple(s.model_copy(update={"assurance": None}) for s in decided.scenario.services)
    scenario = decided.scenario.model_copy(update={"services": services})
    size = sources.sizing(scenario, decided.offers)
    framed = frame(scenario, decided.offers, size, sources.catalog, decided.calendar)
    chosen = decided.replicas()
    own = framed.problem.of_kinds(k for k in framed.problem.kinds if k.key in chosen)
    same, fleet = (_confirmed(framed, p, sources, effort) for p in (own, framed.problem))
    if same is None or fleet is None:
        return None
    if not _no_dearer(fleet.solution, decided) or not _no_dearer(same.solution, decided):
        return None
    return WithoutMargin(same, fleet)


def _confirmed(
    framed: Framed, problem: Problem, sources: Sources, effort: SolveOptions
) -> Decided | None:
    """The cheapest fleet, in the simulator too where the plan was simulated; None where none holds."""
    decided = Decided(framed, problem, decide(problem, effort, proved=sources.proved))
    if effort.verify != "simulate" or not decided.has_fleet:
        return decided
    from planner.solving.kept_simulations import KeptSimulations
    from planner.solving.near_winners import NearWinners
    from planner.solving.simulation_loop import simulated

    near = NearWinners(effort, KeptSimulations(sources.known), sources.proved)
    fleet, simulation = simulated(FleetAtLoad(decided, operating(decided)), effort, near=near)
    return fleet.decided if simulation.holds else None


def _no_dearer(found: Solution, decided: Decided) -> bool:
    """Whether a program of replicas with no less capacity was solved well enough to print with the plan."""
    cost, own = found.objective_usd_per_hour, decided.solution.objective_usd_per_hour
    return cost is not None and own is not None and cost <= own * (1 + LESS)


def of_all_offers(decided: Decided, sources: Sources, effort: SolveOptions) -> Decided | None:
    """The cheapest fleet of all offers; None where it is not cheaper than the plan's.

    Raises what ``offers_of`` raises.
    """
    scenario = widened(decided.scenario)
    if scenario.prices == decided.scenario.prices:
        return None
    offers = sources.offers(scenario)
    if len(offers) == len(decided.offers):
        return None
    more = _larger(offers, decided.offers)
    again = {o.gpu for o in more}
    size_more = sources.sizing(scenario, more)

    def size(service: Service) -> CandidateSet:
        sized = size_more(service).candidates if more else ()
        kept = decided.candidates[service.name].candidates
        own = tuple(c for c in kept if c.deployment.gpu.name not in again)
        return CandidateSet(service.name, (*own, *sized), ())

    framed = frame(scenario, offers, size, sources.catalog, decided.calendar)
    problem = _as_corrected(framed.problem, decided.problem, decided.by_key)
    own = decided.solution.objective_usd_per_hour
    if own is None:
        return None
    problem = without_too_dear(problem, own)
    solution = decide(problem, effort, proved=sources.proved)
    cost = solution.objective_usd_per_hour
    if cost is None or cost >= own * (1 - LESS):
        return None
    return Decided(framed, problem, solution)


def _larger(offers: tuple[Offer, ...], known: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """The largest node of each GPU type of which ``known`` has none as large."""
    largest: dict[str, Offer] = {}
    for offer in offers:
        if offer.gpu not in largest or offer.gpu_count > largest[offer.gpu].gpu_count:
            largest[offer.gpu] = offer
    had: dict[str, int] = {}
    for offer in known:
        had[offer.gpu] = max(had.get(offer.gpu, 0), offer.gpu_count)
    return tuple(o for gpu, o in largest.items() if o.gpu_count > had.get(gpu, 0))


def _as_corrected(problem: Problem, decided: Problem, sized: Mapping[str, Candidate]) -> Problem:
    """The problem with the capacities that the simulator corrected, and without kinds it dropped."""
    known = {k.key: k for k in decided.kinds}
    return replace(
        problem,
        kinds=tuple(
            replace(k, capacity_qps=known[k.key].capacity_qps) if k.key in known else k
            for k in problem.kinds
            if k.key in known or k.key not in sized
        ),
    )
