"""From a scenario to a decision: enumerate, decide, check in the simulator, price the alternatives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from planner.catalog.store import Catalog
from planner.fleet.asked import Outcome
from planner.fleet.buckets import buckets_of, served_lengths
from planner.fleet.candidates import (
    enumerate_candidates,
    guard_latency,
    lower_precision,
)
from planner.fleet.infeasible import Explanation, explain
from planner.fleet.market import admitted_offers
from planner.fleet.problem import Problem, ReplicaKind, Solution
from planner.fleet.purchases import existing_offers
from planner.fleet.requirements import outcome_of
from planner.fleet.rivals import TOGETHER, rival, rival_gpus, unprotected
from planner.fleet.scenario_requirements import scenario_requirements
from planner.fleet.sized_before import SizedBefore
from planner.framing import calendar_for, decide, problem_of
from planner.performance.factors import Calibration
from planner.performance.steps import StepBatch
from planner.scenario import Scenario
from planner.serving.lengths import lengths_of
from planner.serving.placed import Placed
from planner.solved import Effort, Operating, Progress, Solved

RIVAL_SECONDS = 5.0  # for each alternative: most are proved in far less


def solve_scenario(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    effort: Effort,
    *,
    base: Path | None = None,
    sized: SizedBefore | None = None,
    progress: Progress = lambda _message: None,
) -> Solved:
    """Decide the cheapest fleet for ``scenario``.

    ``base``: folder that relative paths in the scenario are resolved against. ``sized``: candidates
    remembered between solves. Raises InputError for names and files
    that do not exist, SolverError when the solver fails.
    """
    progress("sizing candidates")
    offers = (
        *admitted_offers(scenario.prices, catalog, base),
        *existing_offers(scenario, catalog),
    )
    shares = scenario.sharing.gpu
    sets = {
        s.name: sized.candidates(s, offers, shares)
        if sized is not None
        else enumerate_candidates(s, catalog, offers, calibration, shares)
        for s in scenario.services
    }
    calendar = calendar_for(scenario, catalog)
    problem = problem_of(scenario, sets, offers, catalog, calendar)
    progress("solving the program")
    solved = Solved(
        scenario=scenario,
        offers=offers,
        candidates=sets,
        by_key={c.key: c for s in sets.values() for c in s.candidates},
        problem=problem,
        solution=decide(problem, effort),
        calendar=calendar,
    )
    if solved.solution.status == "infeasible" and not effort.explain:
        return replace(solved, explanation=Explanation("No fleet meets the scenario.", (), ()))
    if solved.solution.status == "infeasible":
        progress("explaining why no fleet exists")
        return replace(solved, explanation=_explain(solved, catalog, calibration, effort, base))
    if not solved.has_fleet:
        return solved
    solved = replace(solved, operating=operating(solved))
    if effort.verify == "simulate":
        from planner.checking import checked

        solved = checked(solved, effort, operating, progress)
    if not effort.rivals:
        return solved
    progress("pricing the alternatives")
    return _with_rivals(solved, catalog, effort)


def operating(solved: Solved) -> dict[str, Operating]:
    """Every chosen candidate at the rate one of its replicas gets, by the closed form."""
    services = {s.name: s for s in solved.scenario.services}
    rates = solved.routed_qps()
    points = {}
    for key, count in solved.replicas().items():
        candidate, service = solved.by_key[key], services[solved.by_key[key].service]
        buckets = buckets_of(service.name, lengths_of(service), service.buckets)
        lengths = served_lengths(buckets, solved.demand_qps(key))
        rate = rates.get(key, 0.0)
        placed = Placed(
            candidate.deployment, candidate.memory, candidate.steps, count, rate, candidate.prefill
        )
        point = placed.point(
            lengths,
            service.slo,
            rate / count,
            max(1.0, service.arrivals.cv),
            service.assumptions.prefix_hit_share,
        )
        decoding = candidate.prefill.decode_replicas if candidate.prefill else 1
        n = max(point.concurrency / decoding, 1.0)
        step = candidate.steps.step_times(
            StepBatch(n, n * lengths.mean_context_in_flight, sampled_tokens=n)
        )
        guard_latency(candidate, point.latency_s, service)
        points[key] = Operating(point, step, point.latency_s)
    return points


def _with_rivals(solved: Solved, catalog: Catalog, effort: Effort) -> Solved:
    """Price what was not chosen: every other GPU type alone, and native precision alone.

    A rival that is not proved in a few seconds is shown at the best cost found.
    """

    brief = replace(effort, time_limit_s=min(effort.time_limit_s, RIVAL_SECONDS))

    def again(problem: Problem) -> Solution:
        return decide(problem, brief)

    def is_native(kind: ReplicaKind) -> bool:
        return not lower_precision(solved.by_key[kind.key].deployment, catalog)

    chosen = solved.replicas()
    gpus = {k.gpu for k in solved.problem.kinds if k.key in chosen}
    only = gpus if len(gpus) == 1 else set()
    if all(is_native(k) for k in solved.problem.kinds if k.key in chosen):
        native = None
    else:
        native = rival(solved.problem, "native precision", is_native, again)
    bare = unprotected(solved.problem, again)
    together = None
    if any(solved.by_key[key].prefill for key in chosen):

        def does_both(kind: ReplicaKind) -> bool:
            return solved.by_key[kind.key].prefill is None

        together = rival(solved.problem, TOGETHER, does_both, again)
    others = rival_gpus(solved.problem, again, count=effort.rivals, without=only)
    first = tuple(r for r in (bare, together) if r)
    return replace(solved, rivals=(*first, *others), native=native)


def _explain(
    solved: Solved, catalog: Catalog, calibration: Calibration, effort: Effort, base: Path | None
) -> Explanation:
    before = SizedBefore(catalog, calibration)

    def attempt(scenario: Scenario) -> Outcome:
        offers = (
            *admitted_offers(scenario.prices, catalog, base),
            *existing_offers(scenario, catalog),
        )
        shares = scenario.sharing.gpu
        sets = {s.name: before.candidates(s, offers, shares) for s in scenario.services}
        problem = problem_of(scenario, sets, offers, catalog)
        return outcome_of(problem, decide(problem, effort))

    misses = (
        f"{r.label}: {r.reason} ({r.detail})"
        for s in solved.candidates.values()
        for r in sorted(s.rejections, key=lambda r: r.miss or float("inf"))[:3]
    )
    unserved = [name for name, s in solved.candidates.items() if not s.candidates]
    requirements = scenario_requirements(solved.scenario, unserved)
    return explain(solved.scenario, requirements, attempt, misses)
