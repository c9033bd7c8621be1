"""Every deployment a service may try: a candidate with its capacity, or a rejection with its numbers.

The checks run from cheap to dear: permission, legality, offer, support, memory, floors, capacity. A
deployment stops at the first that rules it out, and keeps the reason in words and how far it missed.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.catalog.support import compute_precision
from planner.deployment import (
    Deployment,
    replica_key,
)
from planner.fleet.candidates.buckets import Bucket, buckets_of
from planner.fleet.candidates.candidate import (
    ILLEGAL,
    NO_LONGEST,
    NO_MEMORY,
    NO_PRICE,
    NOT_OFFERED,
    TOO_SLOW,
    Candidate,
    CandidateSet,
    Context,
    Rejection,
)
from planner.fleet.candidates.deployments import (
    deployments,
    name_on_share,
    share_of_gpu,
)
from planner.fleet.candidates.derating import Derating, derating
from planner.fleet.candidates.disaggregated import units
from planner.fleet.candidates.feasibility import (
    groups_in,
    node_room,
    refusal,
)
from planner.fleet.candidates.floors import below_floors, guard_capacity
from planner.fleet.candidates.known import Known, digest
from planner.fleet.candidates.layouts import deeper_layouts
from planner.performance import guard
from planner.performance.factors import Calibration
from planner.performance.steps import StepModel
from planner.scenario.schema import Service
from planner.serving.closed_form.capacity import (
    Capacity,
    capacity_from,
    capacity_within,
    solve_ahead,
    too_long,
)
from planner.serving.closed_form.rate_states import RateStates
from planner.serving.limits import ReplicaLimits, replica_limits
from planner.sizing.layout import MemoryLayout
from planner.sizing.memory import memory_layout
from planner.workload.lengths import lengths_of

# what decides how much of a service one replica carries, whatever comes of it
REQUIRED = {
    "name",
    "model",
    "slo",
    "arrivals",
    "allow_lower_precision",
    "assumptions",
    "assurance",
    "buckets",
    "conversations",
}


def enumerate_candidates(
    service: Service,
    catalog: Catalog,
    offers: Iterable[Offer],
    calibration: Calibration,
    gpu_shares: tuple[float, ...] = (),
    known: Known | None = None,
) -> CandidateSet:
    """Size every deployment that ``service.search`` spans on the GPUs that ``offers`` hold.

    ``gpu_shares``: shares of one GPU a replica may take besides whole ones. ``known``: of deployments,
    from earlier calls with this catalog and calibration. Raises InputError for a
    name the catalog does not know, PhysicsBreach when a prediction beats a floor.
    """
    context = _context(service, catalog, offers, calibration, known or Known())
    candidates: list[Candidate] = []
    rejections: list[Rejection] = []
    for tried in _tried(context, gpu_shares):
        if isinstance(tried, Candidate):
            candidates.append(tried)
        else:
            rejections.append(tried)
    return CandidateSet(service.name, tuple(candidates), tuple(rejections))


def prepare_candidates(
    service: Service,
    catalog: Catalog,
    offers: Iterable[Offer],
    calibration: Calibration,
    gpu_shares: tuple[float, ...],
    known: Known,
) -> None:
    """Solve together what ``enumerate_candidates`` will look up, also where it is called part by part."""
    pools = service.search.disaggregation
    if pools is None or pools.colocated:
        context = _context(service, catalog, offers, calibration, known)
        _prepare(_spanned(context, gpu_shares), context)


def _context(
    service: Service,
    catalog: Catalog,
    offers: Iterable[Offer],
    calibration: Calibration,
    known: Known,
) -> Context:
    largest: dict[str, int] = {}
    for offer in offers:
        largest[offer.gpu] = max(largest.get(offer.gpu, 0), offer.gpu_count)
    lengths = lengths_of(service)
    return Context(
        service=service,
        catalog=catalog,
        calibration=calibration,
        lengths=lengths,
        buckets=buckets_of(service.name, lengths, service.buckets),
        median_prompt_tokens=float(np.quantile(lengths.prompt, 0.5)),
        largest_node=largest,
        known=known,
        required=service.model_dump_json(include=REQUIRED),
        load=digest(lengths),
    )


def _spanned(context: Context, gpu_shares: tuple[float, ...]) -> list[tuple[Deployment, float]]:
    """Every layout of one stage the search spans, on whole GPUs and on shares of one."""
    offered = tuple(context.largest_node)
    return [
        (deployment, share)
        for deployment in deployments(context.service, context.catalog, offered)
        for share in ((1.0, *gpu_shares) if deployment.gpus == 1 else (1.0,))
    ]


def _tried(context: Context, gpu_shares: tuple[float, ...]) -> Iterator[Candidate | Rejection]:
    """Replicas that do both, then units of two pools where the search asks for them."""
    pools = context.service.search.disaggregation
    yield from _unpriced(context)
    if pools is None or pools.colocated:
        short: dict[Deployment, bool] = {}
        spanned = _spanned(context, gpu_shares)
        _prepare(spanned, context)
        for deployment, share in spanned:
            tried = _try(deployment, context, share)
            yield tried
            if share == 1:
                one = replace(deployment, tensor_parallel=1, data_parallel=1, expert_parallel=1)
                short[one] = short.get(one, True) and _is_short(tried)
        deeper = [one for one, lacks in short.items() if lacks]
        _prepare([(d, 1.0) for one in deeper for d in _fewest_stages(one, context)], context)
        for one in deeper:
            yield from _in_stages(one, context)
    if pools is not None:
        yield from units(context, pools)


def _unpriced(context: Context) -> Iterator[Rejection]:
    """The GPU types that the search names and that no offer has, each once."""
    named = context.service.search.gpus
    gpus = () if named == "all" else dict.fromkeys(context.catalog.gpu(n).name for n in named)
    missing = [gpu for gpu in gpus if gpu not in context.largest_node]
    listed = {o.gpu for o in context.catalog.offers()} if missing else set()
    for gpu in missing:
        if gpu in listed:
            detail = f"no offer that prices admits has {gpu}: widen its terms, providers or regions"
        else:
            detail = (
                f"no price is known for {gpu}: give one in prices.file, or list nodes of your own "
                "under existing"
            )
        yield Rejection(NO_PRICE, gpu, detail)


def _is_short(tried: Candidate | Rejection) -> bool:
    """Whether a layout of one stage lacks the memory, or the ranks it would take to have it."""
    lacks = (NO_MEMORY, NO_LONGEST, ILLEGAL, NOT_OFFERED)
    return isinstance(tried, Rejection) and tried.reason in lacks


def _in_stages(one: Deployment, context: Context) -> Iterator[Candidate | Rejection]:
    """The same GPU, engine and formats in pipeline stages, up to the fewest that hold the model."""
    search = context.service.search
    by_stages = itertools.groupby(deeper_layouts(search, one.model), key=lambda x: x.pipeline)
    for stages, group in by_stages:
        tried = [
            _try(replace(one, tensor_parallel=x.tensor, pipeline_parallel=stages), context)
            for x in group
        ]
        yield from tried
        if not all(_is_short(t) for t in tried):
            return


def _fewest_stages(one: Deployment, context: Context) -> list[Deployment]:
    """Its layouts in the fewest stages beyond one, where most models that lack memory fit."""
    layouts_of = list(deeper_layouts(context.service.search, one.model))
    return [
        replace(one, tensor_parallel=x.tensor, pipeline_parallel=x.pipeline)
        for x in layouts_of
        if x.pipeline == layouts_of[0].pipeline
    ]


def _try(whole: Deployment, context: Context, gpu_share: float = 1.0) -> Candidate | Rejection:
    key = _tried_as(whole, context, gpu_share)
    tried = context.known.tried.of(key, lambda: _sized(whole, context, gpu_share))
    assert isinstance(tried, Candidate | Rejection)
    return tried


def _tried_as(whole: Deployment, context: Context, gpu_share: float) -> tuple[Hashable, ...]:
    """What decides how a deployment fares."""
    return (whole, gpu_share, *node_room(whole, context), context.required, context.load)


def _prepare(spanned: Iterable[tuple[Deployment, float]], context: Context) -> None:
    """Solve the steady states of deployments on shares of a GPU together, as far as they are new."""
    wanted = []
    for whole, share in spanned:
        if _tried_as(whole, context, share) in context.known.tried:
            continue
        deployment = _on_share(whole, share)
        if refusal(deployment, context, context.lengths.max_total) is not None:
            continue
        memory = memory_layout(deployment)
        steps = context.known.steps(deployment, context.calibration)
        floors = guard.floors_of(steps.loads, deployment.settings.tokens_per_step)
        if next(below_floors(floors, context), None) is not None:
            continue
        worse = derating(steps, context.service.assurance)
        slo = worse.tightened(context.service.slo)
        limits = replica_limits(deployment, memory)
        wanted += [
            (_states(bucket, deployment, limits, steps, worse, context), slo)
            for bucket in context.buckets
            if bucket.lengths.reuse is None and too_long(limits, bucket.lengths) is None
        ]
    solve_ahead(wanted)


def _on_share(whole: Deployment, gpu_share: float) -> Deployment:
    if gpu_share == 1:
        return whole
    return replace(whole, gpu=share_of_gpu(whole.gpu, gpu_share))


def _sized(whole: Deployment, context: Context, gpu_share: float) -> Candidate | Rejection:
    deployment, label = _on_share(whole, gpu_share), name_on_share(whole, gpu_share)
    refused = refusal(deployment, context, context.lengths.max_total)
    if refused is not None:
        reason, detail, miss = refused
        return Rejection(reason, label, detail, miss)
    memory = memory_layout(deployment)
    steps = context.known.steps(deployment, context.calibration)
    floors = guard.floors_of(steps.loads, deployment.settings.tokens_per_step)
    for detail, miss in below_floors(floors, context):
        return Rejection(TOO_SLOW, label, detail, miss)
    service = context.service
    by_bucket = {b.key: _held(b, deployment, memory, steps, context) for b in context.buckets}
    capacity = max(by_bucket.values(), key=lambda c: c.qps)
    if capacity.qps <= 0:
        detail = capacity.reason or f"limited by {capacity.limited_by}"
        return Rejection(TOO_SLOW, label, detail, _latency_miss(capacity, service))
    if service.buckets is None:
        guard_capacity(label, floors, capacity, context)
    _, note = compute_precision(deployment.gpu, deployment.weights)
    cut = f"on {gpu_share:.3g} of a GPU" if gpu_share < 1 else ""
    return Candidate(
        key=replica_key(service.name, label),
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


def _held(
    bucket: Bucket,
    deployment: Deployment,
    memory: MemoryLayout,
    steps: StepModel,
    context: Context,
) -> Capacity:
    """What capacity per replica of a bucket, with what an assurance asks it to be sized for."""
    service = context.service
    worse = derating(steps, service.assurance)
    limits = replica_limits(deployment, memory)
    slo = worse.tightened(service.slo)
    none = too_long(limits, bucket.lengths)
    if none is not None:
        return none
    if bucket.lengths.reuse is not None:
        cv = max(1.0, service.arrivals.cv)
        capacity = capacity_within(worse.slowed(steps), limits, bucket.lengths, slo, cv)
    else:
        capacity = capacity_from(_states(bucket, deployment, limits, steps, worse, context), slo)
    return replace(capacity, qps=capacity.qps / worse.demand)


def _states(
    bucket: Bucket,
    deployment: Deployment,
    limits: ReplicaLimits,
    steps: StepModel,
    worse: Derating,
    context: Context,
) -> RateStates:
    """One replica under the load of a bucket, as slow as it may turn out."""
    service = context.service
    cv, share = max(1.0, service.arrivals.cv), service.assumptions.prefix_hit_share
    load = context.load if service.buckets is None else digest(bucket.lengths)
    return context.known.states.of(
        (deployment, load, cv, share, worse.steps),
        lambda: RateStates(worse.slowed(steps), limits, bucket.lengths, cv, share),
    )


def _latency_miss(capacity: Capacity, service: Service) -> float | None:
    ratios = [
        capacity.latency_s[t.key] / t.seconds
        for t in service.slo.targets
        if t.key in capacity.latency_s
    ]
    worst = max(ratios, default=0.0)
    return worst if worst > 1 else None
