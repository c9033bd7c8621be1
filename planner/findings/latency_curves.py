"""How latency behaves around a plan: over the rate, over the requests, and against the cost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from planner.catalog.store import Catalog
from planner.comparison.options import Progress
from planner.comparison.restriction import with_target
from planner.errors import InputError
from planner.findings.schema import Distribution, FrontierPoint, LatencyCurve, LatencyPoint
from planner.fleet.alternatives.frontier import trace_frontier
from planner.performance.factors import Calibration
from planner.plan.labels import costliest
from planner.plan.rebuild import placed
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan, ServicePlan
from planner.scenario.schema import Service
from planner.scenario.task import GENERATE
from planner.serving.simulation.service_simulation import check_service
from planner.serving.simulation.window import window_for
from planner.serving.split_arrivals import replica_cv
from planner.solving.lookahead import Solve
from planner.workload.lengths import lengths_of

_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
_BEYOND = 3  # rates above capacity
_PERCENTILES = (1, 2, *range(5, 95, 5), 95, 96, 97, 98, 99, 99.5)
_REQUESTS = 4000
MOST_CHARTED = 6
_LOOSEST, _TIGHTEST, _STEP, _POINTS = 1.5, 0.2, 0.2, 8


def latency_curves(
    plan: Plan, catalog: Catalog, calibration: Calibration
) -> tuple[LatencyCurve, ...]:
    """TTFT and TPOT p99 over the rate of one replica of each group, in closed form.

    A group whose names this catalog no longer knows is left out.
    """
    curves = []
    for service, answer in _answered(plan):
        for group in answer.replica_groups:
            try:
                curves.append(_curve(service, group, catalog, calibration))
            except InputError:
                continue
    return tuple(curves)


def _curve(
    service: Service, group: ReplicaGroup, catalog: Catalog, calibration: Calibration
) -> LatencyCurve:
    replica, lengths = placed(service, group, catalog, calibration), lengths_of(service)
    hits = service.assumptions.prefix_hit_share

    def rate_and_cv(share: float) -> tuple[float, float]:
        rate = share * group.capacity_qps
        return rate, replica_cv(service, rate)

    def at_share(share: float) -> LatencyPoint:
        rate, cv = rate_and_cv(share)
        latency_s = replica.point(lengths, service.slo, rate, cv, hits).latency_s
        return LatencyPoint(rate, latency_s["ttft_p99"], latency_s["tpot_p99"])

    slowest = group.predicted.step_factors[1] if group.predicted.step_factors else 1.0
    higher = (1 + (slowest - 1) * i / _BEYOND for i in range(1, _BEYOND + 1) if slowest > 1)
    kept = takewhile(lambda share: replica.keeps_up(lengths, *rate_and_cv(share), hits), higher)
    return LatencyCurve(
        service=service.name,
        layout=group.name,
        points=tuple(map(at_share, _SHARES)),
        operating_qps=group.routed_qps / group.replicas,
        capacity_qps=group.capacity_qps,
        beyond=tuple(map(at_share, kept)),
    )


def distributions(
    plan: Plan, catalog: Catalog, calibration: Calibration
) -> tuple[Distribution, ...]:
    """TTFT and TPOT of every service's requests, simulated as planned; left out where names are gone."""
    found = []
    for service, answer in _answered(plan):
        try:
            fleet = [placed(service, g, catalog, calibration) for g in answer.replica_groups]
        except InputError:
            continue
        window = window_for(service, fleet, lengths_of(service), _REQUESTS)
        study = check_service(service, fleet, window=window, seed=plan.provenance.seed).study
        found += [
            Distribution(
                service.name,
                metric,
                tuple((q / 100, study.percentile(metric, q).value_s) for q in _PERCENTILES),
            )
            for metric in ("ttft", "tpot")
        ]
    return tuple(found)


def frontier(
    plan: Plan, solve: Solve, progress: Progress | None = None
) -> tuple[FrontierPoint, ...]:
    """The cheapest fleet under ever tighter TPOT targets; only for plans of one service with one.

    No fleet of the scenario is both cheaper and faster than a point, up to the step of a fifth.
    """
    service = plan.scenario.services[0]
    target = service.slo.target("tpot")
    if plan.totals is None or len(plan.services) != 1 or target is None:
        return ()
    requested: list[float] = []

    def cheapest_under(bound_s: float) -> tuple[float, float, Plan] | None:
        if progress is not None:
            progress(len(requested), _POINTS, f"TPOT target {1e3 * bound_s:.0f} ms")
        requested.append(bound_s)
        try:
            answer = solve(with_target(plan.scenario, "tpot", bound_s))
        except InputError:
            return None
        known = [g.predicted.tpot_p99_s for g in answer.groups]
        if answer.totals is None or not known or None in known:
            return None
        achieved = max(t for t in known if t is not None)
        return answer.totals.usd_per_hour, min(achieved, bound_s), answer

    points = trace_frontier(
        cheapest_under,
        loosest=_LOOSEST * target.seconds,
        tightest=_TIGHTEST * target.seconds,
        step_share=_STEP,
        max_points=_POINTS,
    )
    return tuple(
        FrontierPoint(
            p.bound,
            p.achieved,
            p.usd_per_hour,
            p.fleet.totals.gpus_rented if p.fleet.totals else 0,
            "; ".join(g.name for g in p.fleet.groups),
        )
        for p in points
    )


def _answered(plan: Plan) -> Iterator[tuple[Service, ServicePlan]]:
    """The costliest services with tokens to wait for, and their questions: a page, not a book.

    Where every answer is one token there is no time per token to draw.
    """
    questions = {s.name: s for s in plan.scenario.services}
    for answer in costliest(plan.services, MOST_CHARTED):
        service = questions[answer.name]
        if service.task != GENERATE or service.job is not None:
            continue
        if lengths_of(service).output.max() > 1:
            yield service, answer
