"""From a scenario to a decision: enumerate, decide, check in the simulator, price the alternatives."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from planner.catalog.store import Catalog
from planner.fleet.alternatives.narrower_choices import TOGETHER, rival, rival_gpus, unprotected
from planner.fleet.candidates.buckets import buckets_of, served_lengths
from planner.fleet.candidates.cache import SizedBefore
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.feasibility import lower_precision
from planner.fleet.candidates.floors import guard_latency
from planner.fleet.candidates.known import Known
from planner.fleet.offers.admitted import offers_of
from planner.fleet.program.problem import Problem, ReplicaKind, Solution
from planner.fleet.program.solutions import ProvedSolutions
from planner.performance.factors import Calibration
from planner.performance.steps import StepBatch
from planner.scenario.schema import Scenario
from planner.serving.placed import Placed
from planner.solving.build_problem import decide
from planner.solving.decision_rows import with_decision_rows
from planner.solving.job_hours import framed_problem
from planner.solving.left_out import left_out
from planner.solving.result import Effort, Operating, Progress, Solved
from planner.workload.lengths import lengths_of

RIVAL_SECONDS = 5.0  # for each alternative: most are proved in far less


def solve_scenario(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    effort: Effort,
    *,
    base: Path | None = None,
    sized: SizedBefore | None = None,
    known: Known | None = None,
    progress: Progress = lambda _message: None,
) -> Solved:
    """Decide the cheapest fleet for ``scenario``.

    ``base``: folder that relative paths in the scenario are resolved against. ``sized``: candidates
    remembered between solves; ``known``: of deployments, likewise. Raises InputError for names and files
    that do not exist, SolverError when the solver fails.
    """
    progress("sizing candidates")
    known = known or Known()
    offers = offers_of(scenario, catalog, base)
    shares = scenario.sharing.gpu
    sets = {
        s.name: sized.candidates(s, offers, shares)
        if sized is not None
        else enumerate_candidates(s, catalog, offers, calibration, shares, known)
        for s in scenario.services
    }
    problem, calendar = framed_problem(scenario, sets, offers, catalog)
    progress("solving the program")
    proved = known.solutions.of(scenario.model_dump_json()) if known.solutions else None
    solved = Solved(
        scenario=scenario,
        offers=offers,
        candidates=sets,
        by_key={c.key: c for s in sets.values() for c in s.candidates},
        problem=problem,
        solution=decide(problem, effort, proved=proved),
        calendar=calendar,
    )
    if solved.solution.status == "infeasible":
        from planner.solving.why_infeasible import UNEXPLAINED, explained

        if not effort.explain:
            return replace(solved, explanation=UNEXPLAINED)
        progress("explaining why no fleet exists")
        why = explained(solved, catalog, calibration, effort, base, known, proved)
        return replace(solved, explanation=why)
    if not solved.has_fleet:
        return solved
    solved = replace(solved, operating=operating(solved))
    if effort.verify == "simulate":
        from planner.solving.simulation_loop import checked

        solved = checked(solved, effort, operating, progress)
    if any(service.conversations is not None for service in scenario.services):
        from planner.solving.prefix_hits import with_prefix_hits

        solved = with_prefix_hits(solved, effort.seed)
    if not effort.rivals:
        return solved
    progress("pricing the alternatives")
    solved = with_rivals(solved, catalog, effort, proved)
    solved = with_decision_rows(solved, catalog, calibration, effort, base, known, proved)
    return replace(solved, left_out=left_out(solved, catalog, calibration, effort, known, proved))


def operating(solved: Solved) -> dict[str, Operating]:
    """Every chosen candidate at the rate one of its replicas gets, by the closed form.

    Raises ArithmeticError where a chosen candidate is sent nothing, which only a changed plan can state.
    """
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
        in_flight_tokens = n * lengths.mean_context_in_flight
        if not math.isfinite(in_flight_tokens):
            raise ArithmeticError(f"{key} at {rate:g} requests/s has no load to predict from")
        step = candidate.steps.step_times(StepBatch(n, in_flight_tokens, sampled_tokens=n))
        guard_latency(candidate, point.latency_s, service)
        points[key] = Operating(point, step, point.latency_s)
    return points


def with_rivals(
    solved: Solved, catalog: Catalog, effort: Effort, proved: ProvedSolutions | None = None
) -> Solved:
    """Price what was not chosen: every other GPU type alone, and native precision alone.

    A rival that is not proved in a few seconds is shown at the best cost found.
    """

    brief = replace(effort, time_limit_s=min(effort.time_limit_s, RIVAL_SECONDS))

    def again(problem: Problem) -> Solution:
        return decide(problem, brief, proved=proved)

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
