"""Every deployment a service may try: a candidate with its capacity, or a rejection with its numbers.

The checks run from cheap to dear: permission, legality, offer, support, memory, floors, capacity. A
deployment stops at the first that rules it out, and keeps the reason in words and how far it missed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from planner.catalog.gpu import GpuSpec
from planner.catalog.inline_model import parse_inline
from planner.catalog.model import ModelSpec
from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.catalog.support import compute_precision
from planner.deployment import Deployment, EngineSettings
from planner.evidence import Evidence
from planner.fleet.buckets import Bucket, buckets_of
from planner.fleet.derating import derating
from planner.fleet.node_groups import group_gpus, node_groups
from planner.performance import guard
from planner.performance.factors import Calibration
from planner.performance.model import step_model
from planner.performance.steps import StepModel
from planner.scenario import Service
from planner.serving.capacity import Capacity, replica_capacity
from planner.serving.lengths import JointLengths, lengths_of
from planner.serving.pools import Prefill
from planner.sizing.layout import MemoryLayout
from planner.sizing.legality import legal_reasons
from planner.sizing.memory import memory_layout
from planner.sizing.model_memory import support_reasons
from planner.sizing.precision import is_below_native, weights_for
from planner.units import GIB

NOT_PERMITTED = "precision below the checkpoint's own"
ILLEGAL = "layout cannot be cut that way"
NOT_OFFERED = "no offer with enough linked GPUs"
UNSUPPORTED = "would not launch"
NO_MEMORY = "does not fit in memory"
NO_LONGEST = "longest request does not fit"
TOO_SLOW = "misses a latency target at any rate"
TOO_LONG = "requests exceed the model's context"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment that can serve ``service`` at ``capacity.qps`` per replica within its targets.

    ``bucket_qps``: the rate it holds of each length bucket it can serve [requests/s] (the service's
    name where it is not split). ``gpu_share``: of its one GPU; ``deployment.gpu`` is then that share.
    ``prefill``: the other pool of a disaggregated unit, whose answers ``deployment`` writes; a replica
    is then a whole unit. ``group_sizes``: GPUs that must each stay in one node or link domain.
    """

    key: str
    service: str
    deployment: Deployment
    capacity: Capacity
    memory: MemoryLayout
    steps: StepModel
    evidence: Evidence
    notes: tuple[str, ...] = ()
    bucket_qps: Mapping[str, float] = field(default_factory=dict)
    gpu_share: float = 1.0
    prefill: Prefill | None = None
    group_sizes: tuple[int, ...] = ()

    @property
    def gpus(self) -> int:
        """GPUs of one replica, or of one unit of both pools."""
        return self.prefill.gpus(self.deployment) if self.prefill else self.deployment.gpus

    @property
    def label(self) -> str:
        """A short readable name of one replica or unit."""
        return self.prefill.label(self.deployment) if self.prefill else self.deployment.label


@dataclass(frozen=True, slots=True)
class Rejection:
    """A deployment that was ruled out: the ``reason`` it shares with others, and its own numbers.

    ``miss``: how far it is from passing, as found over allowed (1.3 = 30 % over); None where that
    has no meaning.
    """

    reason: str
    label: str
    detail: str
    miss: float | None = None


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """What a service may run, in the order it was tried, and what it may not."""

    service: str
    candidates: tuple[Candidate, ...]
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What every deployment of one service is tried under. ``largest_node``: GPUs by GPU type."""

    service: Service
    catalog: Catalog
    calibration: Calibration
    lengths: JointLengths
    buckets: tuple[Bucket, ...]
    median_prompt_tokens: float
    largest_node: Mapping[str, int]


def enumerate_candidates(
    service: Service,
    catalog: Catalog,
    offers: Iterable[Offer],
    calibration: Calibration,
    gpu_shares: tuple[float, ...] = (),
) -> CandidateSet:
    """Size every deployment that ``service.search`` spans on the GPUs that ``offers`` hold.

    ``gpu_shares``: shares of one GPU a replica may take besides whole ones. Raises InputError for a
    name the catalog does not know, PhysicsBreach when a prediction beats a floor.
    """
    largest: dict[str, int] = {}
    for offer in offers:
        largest[offer.gpu] = max(largest.get(offer.gpu, 0), offer.gpu_count)
    lengths = lengths_of(service)
    median = float(np.quantile(lengths.prompt, 0.5))
    buckets = buckets_of(service.name, lengths, service.buckets)
    context = Context(service, catalog, calibration, lengths, buckets, median, largest)
    candidates: list[Candidate] = []
    rejections: list[Rejection] = []
    for tried in _tried(context, gpu_shares):
        if isinstance(tried, Candidate):
            candidates.append(tried)
        else:
            rejections.append(tried)
    return CandidateSet(service.name, tuple(candidates), tuple(rejections))


def _tried(context: Context, gpu_shares: tuple[float, ...]) -> Iterator[Candidate | Rejection]:
    """Replicas that do both, then units of two pools where the search asks for them."""
    service, pools = context.service, context.service.search.disaggregation
    if pools is None or pools.colocated:
        for deployment in deployments(service, context.catalog, tuple(context.largest_node)):
            shares = (1.0, *gpu_shares) if deployment.gpus == 1 else (1.0,)
            for share in shares:
                yield _try(deployment, context, share)
    if pools is not None:
        from planner.fleet.disaggregated import units

        yield from units(context, pools)


def deployments(service: Service, catalog: Catalog, offered: Sequence[str]) -> Iterator[Deployment]:
    """Every layout the search spans, each once, in a fixed order.

    Friendly precisions become the model's own formats, so that two names may mean one deployment.
    """
    search = service.search
    model = service_model(service, catalog)
    names = sorted(offered) if search.gpus == "all" else search.gpus
    gpus = list(dict.fromkeys(catalog.gpu(n) for n in names))
    weights = list(
        dict.fromkeys(weights_for(model, w, catalog.weight_format) for w in search.weights)
    )
    caches = list(dict.fromkeys(catalog.kv_format(k) for k in search.kv_cache))
    settings = EngineSettings(**search.settings.model_dump())
    for engine, gpu, tp, pp, dp, ep, fmt, kv in itertools.product(
        search.engines,
        gpus,
        search.tensor_parallel,
        search.pipeline_parallel,
        search.data_parallel,
        search.expert_parallel,
        weights,
        caches,
    ):
        yield Deployment(
            model=model,
            gpu=gpu,
            engine=catalog.engine(engine),
            tensor_parallel=tp,
            pipeline_parallel=pp,
            data_parallel=dp,
            expert_parallel=ep,
            weights=fmt,
            kv_cache=kv,
            settings=settings,
        )


def service_model(service: Service, catalog: Catalog) -> ModelSpec:
    """The model of a service: of a name, a path, or the shapes given in the scenario itself."""
    if isinstance(service.model, str):
        return catalog.model(service.model)
    return parse_inline(service.model, where=service.name)


def share_of_gpu(gpu: GpuSpec, share: float) -> GpuSpec:
    """The GPU as a replica on ``share`` of it sees it: memory, bandwidth, arithmetic in proportion."""
    return replace(
        gpu,
        driver_memory_mib=gpu.driver_memory_mib * share,
        cuda_visible_gib=gpu.cuda_visible_gib * share,
        marketed_memory_gb=gpu.marketed_memory_gb * share,
        memory_bandwidth_gb_s=gpu.memory_bandwidth_gb_s * share,
        peak_tflops={k: v * share for k, v in gpu.peak_tflops.items()},
        tdp_w=gpu.tdp_w * share,
    )


def _try(whole: Deployment, context: Context, gpu_share: float = 1.0) -> Candidate | Rejection:
    deployment, label = whole, whole.label
    if gpu_share < 1:
        deployment = replace(whole, gpu=share_of_gpu(whole.gpu, gpu_share))
        label = f"{whole.label} on {gpu_share:.3g} of a GPU"
    for reason, detail, miss in ruled_out(deployment, context, context.lengths.max_total):
        return Rejection(reason, label, detail, miss)
    memory = memory_layout(deployment)
    steps = step_model(deployment, context.calibration)
    floors = guard.floors_of(steps.loads, deployment.settings.tokens_per_step)
    for detail, miss in _below_floors(floors, context):
        return Rejection(TOO_SLOW, label, detail, miss)
    service = context.service
    worse = derating(steps, service.assurance)

    def held(lengths: JointLengths) -> Capacity:
        capacity = replica_capacity(
            worse.slowed(steps),
            memory,
            deployment,
            lengths,
            worse.tightened(service.slo),
            arrival_cv=max(1.0, service.arrivals.cv),
            prefix_hit_share=service.assumptions.prefix_hit_share,
        )
        return replace(capacity, qps=capacity.qps / worse.demand)

    by_bucket = {b.key: held(b.lengths) for b in context.buckets}
    capacity = max(by_bucket.values(), key=lambda c: c.qps)
    if capacity.qps <= 0:
        detail = capacity.reason or f"limited by {capacity.limited_by}"
        return Rejection(TOO_SLOW, label, detail, _latency_miss(capacity, service))
    if service.buckets is None:
        _guard(label, floors, capacity, context)
    _, note = compute_precision(deployment.gpu, deployment.weights)
    cut = f"on {gpu_share:.3g} of a GPU" if gpu_share < 1 else ""
    return Candidate(
        key=f"{service.name}: {label}",
        service=service.name,
        deployment=deployment,
        capacity=capacity,
        memory=memory,
        steps=steps,
        evidence=steps.evidence,
        notes=tuple(n for n in (note, cut) if n),
        bucket_qps={key: c.qps for key, c in by_bucket.items() if c.qps > 0},
        gpu_share=gpu_share,
        group_sizes=groups_in(deployment, context),
    )


def groups_in(deployment: Deployment, context: Context) -> tuple[int, ...]:
    """``node_groups`` in the largest node offered, as far as the search lets ranks span nodes."""
    node = context.largest_node.get(deployment.gpu.name, 0)
    return node_groups(deployment, node, context.service.search.spanning_nodes) if node else ()


def ruled_out(
    deployment: Deployment, context: Context, longest: int, *, apart: bool = False
) -> Iterator[tuple[str, str, float | None]]:
    """(reason, numbers, miss) of each check that fails, cheap checks first.

    ``longest``: tokens of one request that the replica must hold; ``apart``: it is one pool of two.
    """
    model, gpu = deployment.model, deployment.gpu
    if model.max_context_tokens and longest > model.max_context_tokens:
        detail = f"{longest} tokens, the model takes {model.max_context_tokens}"
        yield TOO_LONG, detail, longest / model.max_context_tokens
    if not context.service.allow_lower_precision:
        yield from (
            (NOT_PERMITTED, told, None) for told in lower_precision(deployment, context.catalog)
        )
    yield from ((ILLEGAL, told, None) for told in legal_reasons(deployment))
    group, largest = group_gpus(deployment), context.largest_node.get(gpu.name, 0)
    if group > largest and not groups_in(deployment, context):
        detail = f"{group} GPUs in one node, the largest {gpu.name} offer has {largest}"
        if context.service.search.spanning_nodes > 1:
            detail += "; ranks that span nodes fill them whole, with whole experts (EP = TP x DP)"
        yield NOT_OFFERED, detail, group / largest if largest else None
    prefill = deployment.tensor_parallel if apart else None
    told_apart = support_reasons(context.catalog, deployment, prefill)
    yield from ((UNSUPPORTED, told, None) for told in told_apart)
    memory = memory_layout(deployment)
    if not memory.fits:
        held = memory.total_bytes - memory.kv_pool_bytes - memory.outside_budget_bytes
        yield NO_MEMORY, "; ".join(memory.reasons), held / memory.total_bytes
    if context.service.buckets is None and memory.max_sequences(longest) < 1:
        needed = float(memory.kv.bytes_for(longest))
        detail = (
            f"{longest} tokens need {needed / GIB:.1f} GiB a GPU, "
            f"the pool has {memory.kv_pool_bytes / GIB:.1f} GiB"
        )
        yield NO_LONGEST, detail, needed / max(memory.kv_pool_bytes, 1.0)


def lower_precision(deployment: Deployment, catalog: Catalog) -> tuple[str, ...]:
    """In which ways a deployment stores less than the checkpoint does; empty when it is native."""
    return tuple(_lower_precision(deployment, catalog))


def _lower_precision(deployment: Deployment, catalog: Catalog) -> Iterator[str]:
    model = deployment.model
    native = catalog.weight_format(model.native_weights)
    if is_below_native(model, deployment.weights, native):
        yield f"{deployment.weights.name} weights, the checkpoint holds {native.name}"
    own = catalog.kv_format(model.native_kv or "bf16")
    if deployment.kv_cache.bits < own.bits:
        yield f"{deployment.kv_cache.name} KV cache, the checkpoint's own is {own.name}"


def _below_floors(floors: guard.Floors, context: Context) -> Iterator[tuple[str, float]]:
    """Targets that no real replica of this layout could meet for the median request."""
    prompt, share = context.median_prompt_tokens, context.service.assumptions.prefix_hit_share
    least = {"ttft": floors.ttft_s(prompt, prompt * share), "tpot": floors.tpot_s(prompt)}
    for target in context.service.slo.targets:
        floor = least.get(target.metric, 0.0)
        if target.percentile >= 50 and floor > target.seconds:
            detail = (
                f"{target.key} cannot be below {floor:.4g} s, the target is {target.seconds:g} s"
            )
            yield detail, floor / target.seconds


def _latency_miss(capacity: Capacity, service: Service) -> float | None:
    ratios = [
        capacity.latency_s[t.key] / t.seconds
        for t in service.slo.targets
        if t.key in capacity.latency_s
    ]
    worst = max(ratios, default=0.0)
    return worst if worst > 1 else None


def _guard(where: str, floors: guard.Floors, capacity: Capacity, context: Context) -> None:
    """Raise PhysicsBreach where the capacity beats the arithmetic at peak."""
    lengths = context.lengths
    share = context.service.assumptions.prefix_hit_share
    ceiling = floors.requests_per_s(lengths.mean_prompt * (1 - share), lengths.mean_output)
    guard.check(capacity.qps, ceiling, "capacity", where=where, at_most=True)


def guard_latency(candidate: Candidate, latency_s: Mapping[str, float], service: Service) -> None:
    """Raise PhysicsBreach where a predicted median beats the floor of the median request.

    Where a service is split by length, its median request is not that of one replica kind.
    """
    if service.buckets is not None:
        return
    lengths, share = lengths_of(service), service.assumptions.prefix_hit_share
    prompt = float(np.quantile(lengths.prompt, 0.5))
    decode = guard.floors(candidate.deployment)
    prefill = guard.floors(candidate.prefill.deployment) if candidate.prefill else decode
    for key, floor in (
        ("ttft_p50", prefill.ttft_s(prompt, prompt * share)),
        ("tpot_p50", decode.tpot_s(prompt)),
    ):
        if key in latency_s:
            guard.check(latency_s[key], floor, key, where=candidate.label)
