"""A scenario framed as the program's plain numbers, and decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.evidence import Evidence
from planner.fleet.candidates.buckets import buckets_of
from planner.fleet.candidates.candidate import Candidate, CandidateSet
from planner.fleet.candidates.mixing import most_kinds
from planner.fleet.offers.node_offers import caps, node_offers
from planner.fleet.periods import Calendar, calendar_of, start_up_hours
from planner.fleet.program.problem import (
    Demand,
    FleetLimits,
    PoolBeside,
    Problem,
    ReplicaKind,
    Resilience,
    Solution,
)
from planner.fleet.program.program import solve as solve_program
from planner.fleet.program.solutions import ProvedSolutions
from planner.scenario.schema import Scenario, Service
from planner.solving.options import SolveOptions
from planner.units import HOURS_PER_MONTH
from planner.workload.lengths import lengths_of

LATER = 1e-6  # relative: behind its like on a faster network, before any other


def problem_of(
    scenario: Scenario,
    sets: Mapping[str, CandidateSet],
    offers: tuple[Offer, ...],
    catalog: Catalog,
    calendar: Calendar | None = None,
) -> Problem:
    """Translate candidates and admitted offers into the program's plain numbers.

    ``calendar``: the scenario's periods, where they are known already.
    """
    calendar = calendar or calendar_for(scenario, catalog)
    ties = _ties(c for candidates in sets.values() for c in candidates.candidates)
    kinds = tuple(_kind(c, ties[c.key]) for s in sets.values() for c in s.candidates)
    used = {gpu for k in kinds for gpu in k.types}
    wide = frozenset(gpu for k in kinds if k.is_wide for gpu in k.types)
    useful = [o for o in offers if o.gpu in used]
    nodes = node_offers(scenario, useful, catalog, calendar, wide)
    failures, spot = scenario.failures, any(n.spot for n in nodes)
    limits = _limits(scenario, catalog, spot=spot)
    return Problem(
        demands=tuple(
            d
            for s in scenario.services
            for d in _demands(s, most_kinds(scenario, s, lambda n: catalog.gpu(n).name), calendar)
        ),
        kinds=kinds,
        offers=nodes,
        limits=replace(limits, caps=caps(scenario, nodes, {o.key: o for o in useful}, catalog)),
        period_hours=calendar.billed_hours,
        resilience=Resilience(
            replicas=failures.replicas,
            nodes=failures.nodes,
            zones=failures.zones,
            spot_pools=scenario.spot.pools_lost if spot else 0,
        ),
        serve_all=scenario.serve == "all",
        share_nodes=scenario.sharing.nodes,
        overlap_hours=scenario.migration.overlap_hours
        * sum(calendar.hours)
        / (scenario.horizon.months * HOURS_PER_MONTH),
    )


def _kind(candidate: Candidate, tie_s: float) -> ReplicaKind:
    return ReplicaKind(
        key=candidate.key,
        gpu=candidate.deployment.gpu.name,
        gpus=candidate.gpus - sum(candidate.prefill_groups),
        capacity_qps=dict(candidate.bucket_qps),
        group_sizes=candidate.group_sizes,
        tpot_s=tie_s,
        gpu_share=candidate.gpu_share,
        beside=_beside(candidate),
        network_gb_s=candidate.network_gb_s,
    )


def _limits(scenario: Scenario, catalog: Catalog, *, spot: bool) -> FleetLimits:
    """What the scenario limits of the whole fleet; ``spot``: whether any offer is."""
    limits, share = scenario.limits, scenario.spot.max_share
    return FleetLimits(
        max_gpus=limits.max_gpus,
        max_usd_per_hour=limits.max_cost_usd_per_hour,
        max_power_kw=limits.max_power_kw,
        max_spot_share=share if spot and share < 1 else None,
        stock={catalog.gpu(g).name: n for g, n in limits.stock.items()},
        max_vendors=scenario.prices.max_vendors,
    )


def _beside(candidate: Candidate) -> PoolBeside | None:
    """The prefill pool of a unit on two GPU types."""
    if candidate.prefill is None or not candidate.prefill_groups:
        return None
    gpu = candidate.prefill.deployment.gpu
    return PoolBeside(gpu.name, candidate.prefill_groups, gpu.network_gb_s)


def _ties(candidates: Iterable[Candidate]) -> dict[str, float]:
    """What decides between equal fleets, by candidate [s]: of one layout that sized for the fastest network.

    A slower network lowers what a replica is sized for, and with it the TPOT there.
    """
    ties: dict[str, float] = {}
    most: dict[tuple[str, str], float] = {}
    for c in sorted(candidates, key=lambda c: -c.network_gb_s):
        mine = ties[c.key] = tie_tpot_s(c)
        if not c.network_gb_s:
            continue
        layout = (c.service, c.name_on_any_network)
        faster = most.get(layout)
        ties[c.key] = mine if faster is None else max(mine, faster * (1 + LATER))
        most[layout] = ties[c.key]
    return ties


def tie_tpot_s(candidate: Candidate) -> float:
    """The TPOT that decides between fleets of one price and as many GPUs [s].

    An assumed acceptance decides no tie: such a draft counts as if nothing it drafts were accepted.
    """
    deployment, mean = candidate.deployment, candidate.capacity.tpot_mean_s
    assumed = deployment.draft is not None and deployment.draft.evidence is Evidence.ASSUMED
    return mean * deployment.settings.tokens_per_step if assumed else mean


def calendar_for(scenario: Scenario, catalog: Catalog) -> Calendar:
    """The scenario's periods, with the start-up of the engines it may use."""
    return calendar_of(scenario.services, scenario.horizon, start_up_of(scenario, catalog))


def start_up_of(scenario: Scenario, catalog: Catalog) -> float:
    """The longest start-up of any service on any engine it may use [h]."""
    engines = {e: catalog.engine(e).start_up_s for s in scenario.services for e in s.search.engines}
    return start_up_hours(scenario.services, engines)


def _demands(service: Service, max_kinds: int, calendar: Calendar) -> Iterator[Demand]:
    """The service, or its length buckets, sized on the busiest window of each period.

    ``max_kinds``: of replica that it may mix.
    """
    for bucket in buckets_of(service.name, lengths_of(service), service.buckets):
        yield Demand(
            key=bucket.key,
            service=service.name,
            rates_qps=tuple(r * bucket.share for r in calendar.sizing_qps[service.name]),
            max_kinds=max_kinds,
            whole=service.buckets is not None and service.buckets.whole,
            weight=float(1 + service.priority),
            deferrable=service.job is not None,
        )


def decide(
    problem: Problem,
    effort: SolveOptions,
    *,
    cost_alone: bool = False,
    proved: ProvedSolutions | None = None,
) -> Solution:
    """Solve ``problem``; without any replica kind it is infeasible before a solver is called.

    Where priorities decide who is served, a fleet that serves nobody is none: infeasible as well.
    ``cost_alone``: the fleet may be any of the equally cheap ones. ``proved``: programs of the same
    question that were solved before.
    """
    if not problem.kinds and problem.serve_all:
        return Solution("infeasible", None, None, None, solver=effort.solver)

    def now() -> Solution:
        return solve_program(
            problem,
            time_limit_s=effort.seconds_left,
            gap=effort.gap,
            solver=effort.solver,
            seed=effort.seed,
            cost_alone=cost_alone,
        )

    how = repr((effort.gap, effort.solver, effort.seed, cost_alone))
    found = now() if proved is None else proved.of(problem, how, now)
    serves = problem.serve_all or any(found.replicas.values())
    if serves or found.status == "unknown":
        return found
    return replace(
        found,
        status="infeasible",
        objective_usd_per_hour=None,
        bound_usd_per_hour=None,
        gap=None,
        replicas={},
        nodes={},
        billed={},
    )
