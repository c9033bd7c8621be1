"""A decision written out as a Plan: every field is read from one value of one room."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator

from planner import __version__
from planner.catalog.store import Catalog
from planner.fleet.candidates import TOO_SLOW, Candidate, Rejection
from planner.fleet.money import token_cost, usd_per_month, usd_per_year
from planner.fleet.purchases import offer_key
from planner.fleet.rivals import Rival
from planner.performance.factors import Calibration
from planner.performance.guard import floors
from planner.plan import (
    Alternative,
    Infeasibility,
    NodeCount,
    Plan,
    Prediction,
    Provenance,
    RejectionGroup,
    Relaxation,
    ReplicaGroup,
    Run,
    ServicePlan,
    SolverReport,
    StepBreakdown,
    Totals,
    Verification,
)
from planner.scenario import Scenario, Service
from planner.schedule import mean_served_qps, rented, schedule
from planner.serving.lengths import lengths_of
from planner.solved import Effort, Operating, Solved

EXAMPLES = 3
INTERVAL_LEVEL = 0.8


def assemble(
    solved: Solved, catalog: Catalog, calibration: Calibration, effort: Effort, seconds: float
) -> Plan:
    """Write out what was decided; ``seconds``: wall time of the whole run [s]."""
    solution, scenario = solved.solution, solved.scenario
    has_fleet = solution.status in ("optimal", "feasible")
    nodes = tuple(_nodes(solved)) if has_fleet else ()
    services = tuple(_service(s, solved, nodes) for s in scenario.services) if has_fleet else ()
    totals = _totals(scenario, services, nodes) if has_fleet else None
    return Plan(
        scenario=scenario,
        status=solution.status,  # type: ignore[arg-type]
        objective_usd_per_hour=solution.objective_usd_per_hour if has_fleet else None,
        bound_usd_per_hour=solution.bound_usd_per_hour,
        gap=solution.gap,
        services=services,
        nodes=nodes,
        totals=totals,
        alternatives=tuple(_alternative(r, solved, totals) for r in solved.rivals),
        native_precision=_alternative(solved.native, solved, totals) if solved.native else None,
        rejections=tuple(_rejections(solved)),
        infeasibility=_infeasibility(solved),
        assumptions=tuple(_assumptions(solved)),
        warnings=solved.warnings,
        solver=_solver(solved, effort),
        verification=Verification(
            method="simulate" if solved.rounds else "none",
            rounds=solved.rounds,
            closed_form_error=dict(solved.closed_form_error),
            near_winners=solved.near_winners,
            note=solved.verification_note,
        ),
        details={"schedule": schedule(solved)} if len(solved.problem.period_hours) > 1 else {},
        provenance=_provenance(solved, catalog, calibration, effort, seconds),
    )


def _service(service: Service, solved: Solved, nodes: tuple[NodeCount, ...]) -> ServicePlan:
    routed = solved.routed_qps(service.name)
    chosen = [
        (solved.by_key[kind], count)
        for kind, count in solved.replicas().items()
        if solved.by_key[kind].service == service.name
    ]
    groups = tuple(
        _group(candidate, count, routed.get(candidate.key, 0.0), solved, nodes)
        for candidate, count in chosen
    )
    lengths = lengths_of(service)
    capacity = sum(g.capacity_qps * g.replicas for g in groups)
    busiest = sum(routed.values())
    served = mean_served_qps(service.name, solved)
    return ServicePlan(
        name=service.name,
        model=chosen[0][0].deployment.model.name if chosen else _name_of(service),
        rate_qps=service.rate,
        served_qps=served,
        targets={t.key: t.seconds for t in service.slo.targets},
        replica_groups=groups,
        usd_per_hour=sum(g.usd_per_hour for g in groups),
        headroom_qps=max(0.0, capacity - busiest),
        busiest_qps=busiest if len(solved.problem.period_hours) > 1 else None,
        floors=_floors(chosen[0][0], lengths.mean_prompt, lengths.mean_output, service.rate)
        if chosen
        else {},
    )


def _name_of(service: Service) -> str:
    if isinstance(service.model, str):
        return service.model
    return str(service.model.get("name", "inline model"))


def _floors(candidate: Candidate, prompt: float, output: float, rate: float) -> dict[str, float]:
    """The least a plan with this deployment could do [s, GPUs]."""
    floor = floors(candidate.deployment)
    gpus = candidate.deployment.gpus * rate / floor.requests_per_s(prompt, output)
    return {
        "ttft_s": floor.ttft_s(prompt),
        "tpot_s": floor.tpot_s(prompt + output / 2),
        "gpus_for_arithmetic_alone": gpus,
    }


def _group(
    candidate: Candidate, count: int, routed: float, solved: Solved, nodes: tuple[NodeCount, ...]
) -> ReplicaGroup:
    d, at = candidate.deployment, solved.operating[candidate.key]
    return ReplicaGroup(
        gpu=d.gpu.name,
        engine=d.engine.name,
        engine_version=d.engine.version,
        tensor_parallel=d.tensor_parallel,
        pipeline_parallel=d.pipeline_parallel,
        data_parallel=d.data_parallel,
        expert_parallel=d.expert_parallel,
        weights=d.weights.name,
        kv_cache=d.kv_cache.name,
        settings=_settings(candidate),
        replicas=count,
        gpus=count * d.gpus,
        usd_per_hour=_share_of_cost(candidate, solved, nodes),
        capacity_qps=solved.capacity_qps(candidate.key),
        routed_qps=routed,
        concurrency=at.point.concurrency,
        utilisation=at.point.utilisation,
        kv_used_share=at.point.kv_used_share,
        limited_by=candidate.capacity.limited_by,
        memory={**_memory(candidate), "total_bytes": candidate.memory.total_bytes},
        kv_pool_tokens=candidate.memory.kv_pool_tokens,
        predicted=_prediction(candidate, at),
        step=_step(at),
        evidence=candidate.evidence.value,
        notes=candidate.notes,
    )


def _memory(candidate: Candidate) -> dict[str, float]:
    return {f"{name}_bytes": size for name, size in candidate.memory.parts_bytes().items()}


def _settings(candidate: Candidate) -> dict[str, float | int | bool | None]:
    s = candidate.deployment.settings
    return {name: getattr(s, name) for name in s.__dataclass_fields__}


def _prediction(candidate: Candidate, at: Operating) -> Prediction:
    named = set(Prediction.model_fields)
    latency = {f"{key}_s": value for key, value in at.latency_s.items()}
    intervals = {}
    for key, value in latency.items():
        kind = key.partition("_")[0]
        if kind in ("ttft", "tpot") and value > 0:
            interval = candidate.steps.interval(value, kind, INTERVAL_LEVEL)
            intervals[key] = (interval.low, interval.high)
    return Prediction(
        **{k: v for k, v in latency.items() if k in named},
        others_s={k: v for k, v in latency.items() if k not in named},
        method=at.method,
        interval_level=INTERVAL_LEVEL,
        intervals=intervals,
        simulation_intervals={f"{k}_s": v for k, v in at.simulation_intervals.items()},
    )


def _step(at: Operating) -> StepBreakdown:
    t = at.step
    return StepBreakdown(
        weights_s=float(t.weights_s),
        kv_s=float(t.kv_s),
        compute_s=float(t.compute_s),
        collectives_s=float(t.collectives_s),
        overhead_s=float(t.overhead_s),
        total_s=float(t.total_s),
    )


def _share_of_cost(candidate: Candidate, solved: Solved, nodes: tuple[NodeCount, ...]) -> float:
    """The group's part of the rent of its GPU type, by GPU-hours; idle GPUs are shared in proportion."""
    gpu = candidate.deployment.gpu.name
    rent = sum(n.usd_per_hour for n in nodes if n.gpu == gpu)
    hours = solved.problem.period_hours
    used: dict[str, float] = defaultdict(float)
    for (kind, period), n in solved.solution.replicas.items():
        other = solved.by_key[kind]
        if other.deployment.gpu.name == gpu:
            used[kind] += n * other.deployment.gpus * other.gpu_share * hours[period]
    return rent * used[candidate.key] / sum(used.values())


def _nodes(solved: Solved) -> Iterator[NodeCount]:
    """Nodes by offer: those always paid, then those paid part of the time, level by level."""
    offers = {o.key: o for o in solved.offers}
    used: dict[str, float] = defaultdict(float)
    for kind, n in solved.replicas().items():
        candidate = solved.by_key[kind]
        used[candidate.deployment.gpu.name] += n * candidate.deployment.gpus * candidate.gpu_share
    levels = [(offers[key], *level) for key, paid in rented(solved) for level in paid]
    total: dict[str, int] = defaultdict(int)
    for offer, n, _ in levels:
        total[offer.gpu] += n * offer.gpu_count
    for offer, n, share in levels:
        idle = max(0, total[offer.gpu] - math.ceil(used[offer.gpu] - 1e-9))
        total[offer.gpu] -= min(idle, n * offer.gpu_count)
        yield NodeCount(
            provider=offer.provider,
            region=offer.region,
            instance_type=offer.instance_type,
            term=offer.term.value,
            gpu=offer.gpu,
            gpus_per_node=offer.gpu_count,
            count=n,
            usd_per_hour_each=offer.usd_per_hour,
            usd_per_hour=n * offer.usd_per_hour * share,
            idle_gpus=min(idle, n * offer.gpu_count),
            price_as_of=offer.as_of,
            price_source=offer.source,
            price_confidence=offer.confidence,
            hours_share=share,
        )


def _totals(
    scenario: Scenario, services: Iterable[ServicePlan], nodes: Iterable[NodeCount]
) -> Totals:
    nodes = tuple(nodes)
    cost = sum(n.usd_per_hour for n in nodes)
    served = {s.name: s.served_qps for s in services}
    rate = sum(served.values())
    lengths = {s.name: lengths_of(s) for s in scenario.services}
    prompt = sum(served[n] * x.mean_prompt for n, x in lengths.items()) / rate if rate else 0.0
    output = sum(served[n] * x.mean_output for n, x in lengths.items()) / rate if rate else 0.0
    tokens = token_cost(cost, rate, prompt, output)
    return Totals(
        gpus=sum(g.gpus for s in services for g in s.replica_groups),
        gpus_rented=sum(n.count * n.gpus_per_node for n in nodes),
        nodes=sum(n.count for n in nodes),
        usd_per_hour=cost,
        usd_per_month=usd_per_month(cost),
        usd_per_year=usd_per_year(cost),
        usd_per_million_output_tokens=tokens.output,
        usd_per_million_input_tokens=tokens.input,
        usd_per_million_tokens=tokens.blended,
    )


def _alternative(rival: Rival, solved: Solved, totals: Totals | None) -> Alternative:
    """What the narrower choice costs, and the plainest reason it lost."""
    problem, solution = rival.problem, rival.solution
    gpus = {o.key: o.gpus_per_node for o in problem.offers}
    billed = sum(n * gpus[key] for (key, _), n in solution.billed.items())
    cost = solution.objective_usd_per_hour or 0.0
    groups = [
        f"{n}x ({solved.by_key[kind].deployment.label})"
        for (kind, _), n in sorted(solution.replicas.items())
        if n
    ]
    return Alternative(
        label="; ".join(groups),
        gpus=billed,
        usd_per_hour=cost,
        reason=_why_it_lost(rival, billed, cost, totals),
        detail={"restricted_to": rival.name, "status": solution.status},
    )


def _why_it_lost(rival: Rival, gpus: int, cost: float, totals: Totals | None) -> str:
    if totals is None:
        return "no plan to compare with"
    each, own = cost / gpus, totals.usd_per_hour / totals.gpus_rented
    if rival.name == "native precision":
        return "the checkpoint's own precision; quality is not modelled"
    if cost <= totals.usd_per_hour * (1 + 1e-9):
        return "costs the same; the tie went to fewer GPUs, then to the lower TPOT"
    if gpus > totals.gpus_rented and each >= own:
        return f"needs {gpus} GPUs where {totals.gpus_rented} do, and each costs more"
    if gpus > totals.gpus_rented:
        return f"cheaper per GPU, but it takes {gpus} where {totals.gpus_rented} do"
    return f"fewer or as many GPUs, but each costs {each / own:.1f} times as much"


def _rejections(solved: Solved) -> Iterator[RejectionGroup]:
    by_reason: dict[str, list[Rejection]] = defaultdict(list)
    for candidates in solved.candidates.values():
        for rejection in candidates.rejections:
            by_reason[rejection.reason].append(rejection)
    for reason, group in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        ranked = sorted(group, key=lambda r: (r.miss is None, r.miss or 0.0, r.label))
        yield RejectionGroup(
            reason=reason,
            count=len(group),
            nearest_miss=f"{ranked[0].label}: {ranked[0].detail}",
            examples=tuple(r.label for r in ranked[:EXAMPLES]),
        )


def _infeasibility(solved: Solved) -> Infeasibility | None:
    why = solved.explanation
    if why is None:
        return None
    nearest = _nearest_miss(solved, why.conflict)
    told = f" Nearest miss: {nearest.label} ({nearest.detail})." if nearest else ""
    return Infeasibility(
        summary=why.summary + told,
        conflict=why.conflict,
        relaxations=tuple(
            Relaxation(
                requirement=r.requirement,
                current=r.current,
                relaxed=r.relaxed,
                usd_per_hour=r.usd_per_hour,
                gpus=r.gpus,
            )
            for r in why.relaxations
        ),
    )


def _nearest_miss(solved: Solved, conflict: Iterable[str]) -> Rejection | None:
    """The rejection that came closest among services without a candidate.

    Where a latency target is in conflict, only what misses a target counts.
    """
    keys = {t.key for s in solved.scenario.services for t in s.slo.targets}
    on_time = not any(key in text for text in conflict for key in keys)
    missed = (
        r
        for s in solved.candidates.values()
        if not s.candidates
        for r in s.rejections
        if r.miss is not None and (on_time or r.reason == TOO_SLOW)
    )
    return min(missed, key=lambda r: (r.miss, r.label), default=None)


def _assumptions(solved: Solved) -> Iterator[str]:
    for service in solved.scenario.services:
        share = service.assumptions.prefix_hit_share
        label = f"{service.name}: " if len(solved.scenario.services) > 1 else ""
        yield (
            f"{label}{service.arrivals.process} arrivals with CV {service.arrivals.cv:g}, open loop"
        )
        if share:
            yield f"{label}{100 * share:g} % of prompt tokens are prefix-cache hits (assumed)"
    yield "output quality at lower precision is not modelled"
    yield "prices are list prices; availability and quotas are not checked"


def _solver(solved: Solved, effort: Effort) -> SolverReport:
    s = solved.solution
    return SolverReport(
        name=s.solver or effort.solver,
        version=s.solver_version or "-",
        status=s.status,
        variables=s.variables,
        constraints=s.constraints,
        candidates=len(solved.problem.kinds),
        candidates_after_dominance=s.kinds_after_dominance,
        gap_tolerance=effort.gap,
    )


def _provenance(
    solved: Solved, catalog: Catalog, calibration: Calibration, effort: Effort, seconds: float
) -> Provenance:
    billed = {offer_key(key) for key, _ in solved.solution.billed}
    used = [o for o in solved.offers if o.key in billed]
    dates = sorted(o.as_of for o in (used or solved.offers))
    text = json.dumps(solved.scenario.model_dump(mode="json"), sort_keys=True)
    return Provenance(
        planner_version=__version__,
        catalog_digest=catalog.digest(),
        scenario_digest=hashlib.sha256(text.encode()).hexdigest(),
        calibration="; ".join(calibration.sources),
        calibration_digest=_fingerprint(calibration),
        price_dates=(dates[0], dates[-1]) if dates else None,
        seed=effort.seed,
        run=Run(
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            duration_s=round(seconds, 3),
            host=platform.node(),
            solve_s=round(solved.solution.seconds, 3),
        ),
    )


def _fingerprint(calibration: Calibration) -> str:
    """A digest of every factor in force."""
    shifts = {name: sorted(table.items()) for name, table in calibration.shifts.items()}
    text = repr((sorted(calibration.origins.items()), sorted(shifts.items())))
    return hashlib.sha256(text.encode()).hexdigest()
