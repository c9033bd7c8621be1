"""From a scenario to a decision: enumerate, decide, check in the simulator, and decide again.

The closed form sizes every candidate. The chosen ones are then played in the simulator at the load
they would really get; a capacity that proves optimistic is corrected and the program solved again,
at most ``MAX_ROUNDS`` times, each round recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.fleet.candidates import (
    Candidate,
    CandidateSet,
    enumerate_candidates,
    group_gpus,
    lower_precision,
)
from planner.fleet.infeasible import Explanation, Outcome, explain
from planner.fleet.market import admitted_offers, cheapest_offers, node_offers
from planner.fleet.problem import Demand, FleetLimits, Problem, ReplicaKind, Solution
from planner.fleet.program import solve as solve_program
from planner.fleet.requirements import outcome_of
from planner.fleet.rivals import Rival, rival, rival_gpus
from planner.fleet.scenario_requirements import scenario_requirements
from planner.performance.factors import Calibration
from planner.performance.steps import StepBatch, StepTimes
from planner.plan import VerificationRound
from planner.scenario import Prices, Scenario, Service
from planner.serving.capacity import Capacity, operating_point
from planner.serving.lengths import lengths_of

MAX_ROUNDS = 6
RIVALS = 5

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How hard to try: solver, its limits, the seed, and whether to simulate."""

    verify: str = "simulate"
    solver: str = "highs"
    time_limit_s: float = 60.0
    gap: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Operating:
    """One candidate at the load its replicas really get.

    ``latency_s``: predicted seconds by key ("ttft_p99"), by ``method``; ``simulation_intervals``:
    Monte-Carlo intervals of the simulated ones [s]; ``step``: a decode step there, by part.
    """

    point: Capacity
    step: StepTimes
    latency_s: Mapping[str, float]
    method: str = "closed-form"
    simulation_intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Solved:
    """Everything ``assembly`` needs to fill in a plan."""

    scenario: Scenario
    offers: tuple[Offer, ...]
    candidates: Mapping[str, CandidateSet]
    problem: Problem
    solution: Solution
    rounds: tuple[VerificationRound, ...] = ()
    explanation: Explanation | None = None
    rivals: tuple[Rival, ...] = ()
    native: Rival | None = None
    by_key: Mapping[str, Candidate] = field(default_factory=dict)
    operating: Mapping[str, Operating] = field(default_factory=dict)
    closed_form_error: Mapping[str, float] = field(default_factory=dict)
    near_winners: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    verification_note: str = ""


def solve_scenario(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    effort: Effort,
    *,
    base: Path | None = None,
    progress: Progress = lambda _message: None,
) -> Solved:
    """Decide the cheapest fleet for ``scenario``.

    ``base``: folder that relative paths in the scenario are resolved against. Raises InputError for
    names and files that do not exist, SolverError when the solver fails.
    """
    progress("sizing candidates")
    offers = admitted_offers(scenario.prices, catalog, base)
    sets = {
        s.name: enumerate_candidates(s, catalog, offers, calibration) for s in scenario.services
    }
    problem = problem_of(scenario, sets, cheapest_offers(offers), catalog)
    progress("solving the program")
    solution = decide(problem, effort)
    solved = Solved(
        scenario=scenario,
        offers=offers,
        candidates=sets,
        problem=problem,
        solution=solution,
        by_key={c.key: c for s in sets.values() for c in s.candidates},
    )
    if solution.status == "infeasible":
        progress("explaining why no fleet exists")
        return replace(solved, explanation=_explain(solved, catalog, calibration, effort, base))
    if solution.status == "unknown":
        return solved
    solved = replace(solved, operating=_operating(solved))
    progress("pricing the alternatives")
    return _with_rivals(solved, catalog, effort)


def _operating(solved: Solved) -> dict[str, Operating]:
    """Every chosen candidate at the rate one of its replicas gets."""
    services = {s.name: s for s in solved.scenario.services}
    replicas: dict[str, int] = {}
    rates: dict[str, float] = {}
    for (kind, _period), count in solved.solution.replicas.items():
        replicas[kind] = max(replicas.get(kind, 0), count)
    for (_demand, kind, _period), rate in solved.solution.routed_qps.items():
        rates[kind] = rates.get(kind, 0.0) + rate
    points = {}
    for key, count in replicas.items():
        if not count:
            continue
        candidate, service = solved.by_key[key], services[solved.by_key[key].service]
        lengths = lengths_of(service)
        point = operating_point(
            candidate.steps,
            candidate.memory,
            candidate.deployment,
            lengths,
            service.slo,
            rates.get(key, 0.0) / count,
            arrival_cv=max(1.0, service.arrivals.cv),
            prefix_hit_share=service.assumptions.prefix_hit_share,
        )
        n = max(point.concurrency, 1.0)
        step = candidate.steps.step_times(
            StepBatch(n, n * lengths.mean_context_in_flight, sampled_tokens=n)
        )
        points[key] = Operating(point, step, point.latency_s)
    return points


def _with_rivals(solved: Solved, catalog: Catalog, effort: Effort) -> Solved:
    """Price what was not chosen: every other GPU type alone, and native precision alone."""

    def again(problem: Problem) -> Solution:
        return decide(problem, effort)

    def is_native(kind: ReplicaKind) -> bool:
        return not lower_precision(solved.by_key[kind.key].deployment, catalog)

    chosen = {k for (k, _), n in solved.solution.replicas.items() if n}
    gpus = {k.gpu for k in solved.problem.kinds if k.key in chosen}
    only = gpus if len(gpus) == 1 else set()
    if all(is_native(k) for k in solved.problem.kinds if k.key in chosen):
        native = None
    else:
        native = rival(solved.problem, "native precision", is_native, again)
    return replace(
        solved,
        rivals=rival_gpus(solved.problem, again, count=RIVALS, without=only),
        native=native,
    )


def decide(problem: Problem, effort: Effort) -> Solution:
    """Solve ``problem``; without any replica kind it is infeasible before a solver is asked."""
    if not problem.kinds and problem.serve_all:
        return Solution("infeasible", None, None, None, solver=effort.solver)
    return solve_program(
        problem,
        time_limit_s=effort.time_limit_s,
        gap=effort.gap,
        solver=effort.solver,
        seed=effort.seed,
    )


def problem_of(
    scenario: Scenario,
    sets: Mapping[str, CandidateSet],
    offers: tuple[Offer, ...],
    catalog: Catalog,
) -> Problem:
    """Translate candidates and offers into the program's plain numbers."""
    kinds = tuple(
        ReplicaKind(
            key=c.key,
            gpu=c.deployment.gpu.name,
            gpus=c.deployment.gpus,
            capacity_qps={c.service: c.capacity.qps},
            group_gpus=group_gpus(c.deployment),
            tpot_s=c.capacity.latency_s.get("tpot_p99", 0.0),
        )
        for candidates in sets.values()
        for c in candidates.candidates
    )
    used = {k.gpu for k in kinds}
    return Problem(
        demands=tuple(
            Demand(
                key=s.name,
                service=s.name,
                rates_qps=(s.rate,),
                max_kinds=s.max_deployments,
                weight=float(1 + s.priority),
            )
            for s in scenario.services
        ),
        kinds=kinds,
        offers=node_offers((o for o in offers if o.gpu in used), catalog),
        limits=FleetLimits(
            max_gpus=scenario.limits.max_gpus,
            max_usd_per_hour=scenario.limits.max_cost_usd_per_hour,
            stock={catalog.gpu(g).name: n for g, n in scenario.limits.stock.items()},
        ),
    )


def _explain(
    solved: Solved, catalog: Catalog, calibration: Calibration, effort: Effort, base: Path | None
) -> Explanation:
    known: dict[tuple[str, str], CandidateSet] = {}

    def sized(service: Service, prices: Prices, offers: tuple[Offer, ...]) -> CandidateSet:
        """Candidates do not depend on the rate: those of a service asked the same before are kept."""
        key = (prices.model_dump_json(), service.model_dump_json(exclude={"rate"}))
        if key not in known:
            known[key] = enumerate_candidates(service, catalog, offers, calibration)
        return known[key]

    def attempt(scenario: Scenario) -> Outcome:
        offers = admitted_offers(scenario.prices, catalog, base)
        sets = {s.name: sized(s, scenario.prices, offers) for s in scenario.services}
        problem = problem_of(scenario, sets, cheapest_offers(offers), catalog)
        return outcome_of(problem, decide(problem, effort))

    misses = (
        f"{r.label}: {r.reason} ({r.detail})"
        for s in solved.candidates.values()
        for r in sorted(s.rejections, key=lambda r: r.miss or float("inf"))[:3]
    )
    return explain(solved.scenario, scenario_requirements(solved.scenario), attempt, misses)
