"""What each service gets: its replica groups, what they hold and what they will take."""

from __future__ import annotations

import math

from planner.assembly.bill import share_of_cost
from planner.assembly.jobs import job_plan
from planner.assembly.preemptions import preemption_note
from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.fleet.candidates.candidate import Candidate
from planner.fleet.candidates.checkpoints import WeightsOrigin, weights_origin
from planner.performance.guard import floors
from planner.performance.model import CalibratedStepModel
from planner.performance.paced import PacedSteps
from planner.performance.prefill_pace import pace_of
from planner.plan.prefill_pool import PrefillPool
from planner.plan.replica_group import Prediction, ReplicaGroup, StepBreakdown
from planner.plan.schema import NodeCount, ServicePlan
from planner.plan.speculation import SpeculationPlan
from planner.scenario.schema import Service
from planner.scenario.slo import metric_of
from planner.serving.closed_form.unit_point import unit_of
from planner.sizing.cache.kv_cache import kv_layout
from planner.sizing.drafts import draft_weight_bytes, with_draft
from planner.sizing.layout import MemoryLayout
from planner.solving.latency_ends import LEVEL
from planner.solving.schedule import mean_served_qps
from planner.solving.stages import Operating, SolvedFleet
from planner.workload.lengths import JointLengths, lengths_of


def service_plan(
    service: Service, found: SolvedFleet, nodes: tuple[NodeCount, ...], catalog: Catalog
) -> ServicePlan:
    """Write out one service: its groups in the order of their keys, its headroom and floors."""
    decided = found.decided
    routed = decided.routed_qps(service.name)
    chosen = [
        (decided.by_key[kind], count)
        for kind, count in decided.replicas().items()
        if decided.by_key[kind].service == service.name
    ]
    lengths = lengths_of(service)
    groups = tuple(
        _with_origin(
            _group(
                candidate,
                count,
                routed.get(candidate.key, 0.0),
                found,
                nodes,
                lengths,
                is_job=service.job is not None,
            ),
            weights_origin(
                candidate.deployment, _name_of(service, candidate.deployment.model), catalog
            ),
        )
        for candidate, count in chosen
    )
    capacity = sum(g.capacity_qps * g.replicas for g in groups)
    busiest = sum(routed.values())
    varies = len(decided.problem.period_hours) > 1
    if varies:
        busiest, capacity = decided.busiest_qps(service.name)
    served = mean_served_qps(service.name, decided)
    varies = len(decided.problem.period_hours) > 1 or not math.isclose(busiest, served)
    cost = sum(g.usd_per_hour for g in groups)
    return ServicePlan(
        name=service.name,
        model=_name_of(service, chosen[0][0].deployment.model if chosen else None),
        rate_qps=service.rate,
        served_qps=served,
        targets={t.key: t.seconds for t in service.slo.targets},
        replica_groups=groups,
        usd_per_hour=cost,
        headroom_qps=max(0.0, capacity - busiest),
        busiest_qps=busiest if varies else None,
        floors=_floors(chosen[0][0], lengths, service.rate) if chosen else {},
        job=job_plan(service, decided, cost, served) if chosen else None,
        prefix_hits=found.prefix_hits.get(service.name),
    )


def _name_of(service: Service, model: ModelSpec | None) -> str:
    """The checkpoint that was requested, not the catalog's relative with the same config."""
    if not isinstance(service.model, str):
        return model.name if model else str(service.model.get("name", "inline model"))
    return model.requested_as(service.model) if model else service.model


def _floors(candidate: Candidate, lengths: JointLengths, rate: float) -> dict[str, float]:
    """The least a plan with this deployment could do [s, GPUs], with caches that forget nothing."""
    floor = floors(candidate.deployment)
    prompt, output, computed = lengths.mean_prompt, lengths.mean_output, lengths.mean_computed()
    gpus = candidate.deployment.gpus * rate / floor.requests_per_s(computed, output)
    prompts = floors(candidate.prefill.deployment) if candidate.prefill else floor
    if not lengths.generates:
        return {"e2e_s": prompts.ttft_s(computed), "gpus_for_arithmetic_alone": gpus}
    return {
        "ttft_s": prompts.ttft_s(computed),
        "tpot_s": floor.tpot_s(prompt + output / 2),
        "gpus_for_arithmetic_alone": gpus,
    }


def _group(
    candidate: Candidate,
    count: int,
    routed: float,
    found: SolvedFleet,
    nodes: tuple[NodeCount, ...],
    lengths: JointLengths,
    *,
    is_job: bool,
) -> ReplicaGroup:
    """One group as the plan holds it; a job's requests wait for hours, and no latency is said of them."""
    d, at = candidate.deployment, found.fleet.operating[candidate.key]
    decided = found.decided
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
        gpus=count * candidate.gpus,
        usd_per_hour=share_of_cost(candidate, decided, nodes),
        capacity_qps=decided.capacity_qps(candidate.key),
        routed_qps=routed,
        concurrency=at.point.concurrency,
        utilisation=at.point.utilisation,
        kv_used_share=at.point.kv_used_share,
        limited_by=candidate.capacity.limited_by,
        memory={**_memory(candidate.memory), "total_bytes": candidate.memory.total_bytes},
        kv_pool_tokens=candidate.memory.kv_pool_tokens,
        predicted=Prediction(method=at.method) if is_job else _prediction(candidate, at, lengths),
        step=_step(at) if lengths.generates else None,
        evidence=candidate.evidence,
        notes=(*candidate.notes, *preemption_note(candidate, at.point, lengths, is_job=is_job)),
        gpu_share=candidate.gpu_share,
        prefill=_prefill(candidate, lengths),
        speculation=_speculation(d),
        profile=candidate.profile,
        network_gb_s=d.gpu.offered_network_gb_s,
    )


def _ttft_assumed(candidate: Candidate) -> bool:
    """Whether the range of TTFT rests on too few models, in the pool that prefills where there are two."""
    steps = candidate.prefill.steps if candidate.prefill else candidate.steps
    if isinstance(steps, PacedSteps):
        steps = steps.steps
    return isinstance(steps, CalibratedStepModel) and steps.ttft_assumed


def _speculation(deployment: Deployment) -> SpeculationPlan | None:
    """What drafts, and what it holds of one GPU's memory."""
    draft, settings = deployment.draft, deployment.settings
    if draft is None:
        return None
    held = with_draft(deployment, kv_layout(deployment)).growing_bytes_per_token
    return SpeculationPlan(
        method=draft.method,
        label=deployment.speculation,
        draft_tokens=settings.draft_tokens,
        acceptance=settings.draft_acceptance,
        tokens_per_step=settings.tokens_per_step,
        checkpoint=draft.checkpoint,
        weights=draft.weights.name if draft.weights else "",
        weights_bytes=draft_weight_bytes(deployment),
        kv_bytes_per_token=held - kv_layout(deployment).growing_bytes_per_token,
        evidence=draft.evidence,
        source=draft.source,
    )


def _with_origin(group: ReplicaGroup, origin: WeightsOrigin) -> ReplicaGroup:
    return group.model_copy(
        update={"checkpoint": origin.checkpoint, "quantise_yourself": origin.yourself}
    )


def _prefill(candidate: Candidate, lengths: JointLengths) -> PrefillPool | None:
    """The other pool of a unit, written beside the one that decodes."""
    pool = candidate.prefill
    if pool is None:
        return None
    tp, pp, dp, ep = pool.deployment.degrees
    unit = unit_of(pool, candidate.deployment, candidate.memory, candidate.steps)
    return PrefillPool(
        tensor_parallel=tp,
        pipeline_parallel=pp,
        data_parallel=dp,
        expert_parallel=ep,
        replicas=pool.replicas,
        decode_replicas=pool.decode_replicas,
        within=pool.within,
        link=pool.link.kind,
        link_gb_s=pool.link.gb_s,
        link_latency_s=pool.link.latency_s,
        link_evidence=pool.link.evidence,
        transfer_s=unit.transfer.link(lengths).mean_s,
        memory={**_memory(pool.memory), "total_bytes": pool.memory.total_bytes},
        kv_pool_tokens=pool.memory.kv_pool_tokens,
        evidence=pool.steps.evidence,
        gpu=pool.deployment.gpu.name if candidate.prefill_groups else "",
        pace=pace_of(pool.steps),
        network_gb_s=pool.deployment.gpu.offered_network_gb_s if candidate.prefill_groups else None,
    )


def _memory(layout: MemoryLayout) -> dict[str, float]:
    return {f"{name}_bytes": size for name, size in layout.parts_bytes().items()}


def _settings(candidate: Candidate) -> dict[str, float | int | bool | None]:
    s = candidate.deployment.settings
    return {
        name: getattr(s, name)
        for name in s.__dataclass_fields__
        if s.offload_host_gb or not name.startswith("offload_")
        if s.decode_context_parallel > 1 or name != "decode_context_parallel"
        if s.priority_scheduling or name != "priority_scheduling"
        if not name.startswith("graph")
    }


def _prediction(candidate: Candidate, at: Operating, lengths: JointLengths) -> Prediction:
    """Latencies with their intervals; where prompts are pooled those of whole requests alone.

    A percentile of requests that were sent away from a full queue has no value, and is left out.
    """
    named = set(Prediction.model_fields)
    latency = {f"{key}_s": value for key, value in at.latency_s.items() if math.isfinite(value)}
    if not lengths.generates:
        latency = {key: value for key, value in latency.items() if metric_of(key) == "e2e"}
    simulated = at.simulated.intervals_s if at.simulated else {}
    own = at.simulated.own_s if at.simulated else {}
    around = {
        key: at.ends.around(key.removesuffix("_s"), value)
        for key, value in latency.items()
        if at.ends is not None and value > 0
    }
    return Prediction(
        **{k: v for k, v in latency.items() if k in named},
        others_s={k: v for k, v in latency.items() if k not in named},
        method=at.method,
        interval_level=at.ends.level if at.ends else LEVEL,
        step_factors=at.ends.steps if at.ends else None,
        ttft_factors=at.ends.ttft if at.ends else None,
        ttft_range_assumed=at.ends is not None and _ttft_assumed(candidate),
        keeps_up_if_slow=at.ends is None or at.ends.high_s is not None,
        intervals={key: interval for key, interval in around.items() if interval is not None},
        simulation_intervals={
            f"{k}_s": v for k, v in simulated.items() if f"{k}_s" in latency and math.isfinite(v[1])
        },
        own_s={f"{k}_s": v for k, v in own.items() if f"{k}_s" in latency and math.isfinite(v)},
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
