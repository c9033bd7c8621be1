"""What stands beside the plan on top: the fleet without a margin, and the cheapest of all offers.

Both are the plan's program again, solved to the same proof. Without a margin every candidate is sized
again, and solved for over all kinds and over the plan's own. The plan takes offers of the admitted tiers
and price confidences; the other row takes every offer, shares the candidates of GPUs that both know, and
is sized by the closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.fleet.alternatives.narrower_choices import Rival
from planner.fleet.candidates.candidate import Candidate, CandidateSet
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.known import Known
from planner.fleet.offers.admitted import offers_of, widened
from planner.fleet.program.problem import Problem, Solution
from planner.fleet.program.solutions import ProvedSolutions
from planner.performance.factors import Calibration
from planner.solving.build_problem import decide, problem_of
from planner.solving.result import Effort, Predicted, Solved, Wider

AS_PREDICTED = "as predicted"
SAME_KINDS = "as predicted, on the plan's own kinds of replica"
LEAST_SECONDS = 5.0  # for each row
MOST_TIMES = 2.0  # what the plan's own program took
LESS = 1e-6  # relative: a cost that differs by less is the same


def with_decision_rows(
    solved: Solved,
    catalog: Catalog,
    calibration: Calibration,
    effort: Effort,
    base: Path | None,
    known: Known | None = None,
    proved: ProvedSolutions | None = None,
) -> Solved:
    """Solve for the rows beside the plan.

    base: folder of a relative price file. known: of deployments, from earlier solves of the session.
    proved: programs of the same question that were solved before. Raises what ``offers_of`` raises.
    """
    known = known or Known()
    seconds = LEAST_SECONDS
    if solved.solution.status == "optimal":
        seconds = max(seconds, MOST_TIMES * solved.solution.seconds)
    equal = replace(effort, time_limit_s=min(effort.time_limit_s, seconds))
    return replace(
        solved,
        as_predicted=_as_predicted(solved, catalog, calibration, equal, known, proved),
        wider=_wider(solved, catalog, calibration, equal, base, known, proved),
    )


def _as_predicted(
    solved: Solved,
    catalog: Catalog,
    calibration: Calibration,
    effort: Effort,
    known: Known,
    proved: ProvedSolutions | None,
) -> Predicted | None:
    """The program at the capacities of the prediction itself; None where nothing has a margin."""
    if all(s.assurance is None for s in solved.scenario.services):
        return None
    services = tuple(s.model_copy(update={"assurance": None}) for s in solved.scenario.services)
    scenario = solved.scenario.model_copy(update={"services": services})
    shares = scenario.sharing.gpu
    sets = {
        s.name: enumerate_candidates(s, catalog, solved.offers, calibration, shares, known)
        for s in services
    }
    framed = problem_of(scenario, sets, solved.offers, catalog, solved.calendar)
    by_key = {c.key: c for s in sets.values() for c in s.candidates}
    problem = _as_far_off(framed, solved)
    chosen = solved.replicas()
    own = replace(problem, kinds=tuple(k for k in problem.kinds if k.key in chosen))
    fleet, same = (decide(p, effort, proved=proved) for p in (problem, own))
    if not _no_dearer(fleet, solved) or not _no_dearer(same, solved):
        return None
    return Predicted(Rival(SAME_KINDS, own, same), Rival(AS_PREDICTED, problem, fleet), by_key)


def _no_dearer(found: Solution, solved: Solved) -> bool:
    """Whether a program whose replicas carry no less was solved well enough to stand beside the plan."""
    cost, own = found.objective_usd_per_hour, solved.solution.objective_usd_per_hour
    return cost is not None and own is not None and cost <= own * (1 + LESS)


def _as_far_off(problem: Problem, solved: Solved) -> Problem:
    """Capacities without a margin, as far off the closed form as the simulator found them with it."""
    decided = {k.key: k for k in solved.problem.kinds}
    kinds = []
    for kind in problem.kinds:
        sized = solved.by_key.get(kind.key)
        if sized is not None and kind.key not in decided:
            continue
        factors = {
            key: decided[kind.key].capacity_qps.get(key, 0.0) / qps
            for key, qps in (sized.bucket_qps.items() if sized else ())
        }
        found = {key: qps * factors.get(key, 1.0) for key, qps in kind.capacity_qps.items()}
        kinds.append(replace(kind, capacity_qps=found))
    return replace(problem, kinds=tuple(kinds))


def _wider(
    solved: Solved,
    catalog: Catalog,
    calibration: Calibration,
    effort: Effort,
    base: Path | None,
    known: Known,
    proved: ProvedSolutions | None,
) -> Wider | None:
    """The cheapest fleet of all offers; None where it is not cheaper than the plan's."""
    scenario = widened(solved.scenario)
    if scenario.prices == solved.scenario.prices:
        return None
    offers = offers_of(scenario, catalog, base)
    if len(offers) == len(solved.offers):
        return None
    more = _larger(offers, solved.offers)
    shares = scenario.sharing.gpu
    sets = {
        s.name: _joined(
            solved.candidates[s.name],
            enumerate_candidates(s, catalog, more, calibration, shares, known)
            if more
            else CandidateSet(s.name, (), ()),
            {o.gpu for o in more},
        )
        for s in scenario.services
    }
    framed = problem_of(scenario, sets, offers, catalog, solved.calendar)
    problem = _as_corrected(framed, solved.problem, solved.by_key)
    solution = decide(problem, effort, proved=proved)
    cost, own = solution.objective_usd_per_hour, solved.solution.objective_usd_per_hour
    if cost is None or own is None or cost >= own * (1 - LESS):
        return None
    by_key = {c.key: c for s in sets.values() for c in s.candidates}
    return Wider(problem, solution, offers, by_key)


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


def _joined(known: CandidateSet, more: CandidateSet, again: set[str]) -> CandidateSet:
    """Candidates sized for the plan, with those of the GPU types in ``again`` sized anew."""
    kept = tuple(c for c in known.candidates if c.deployment.gpu.name not in again)
    return CandidateSet(known.service, (*kept, *more.candidates), ())


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
