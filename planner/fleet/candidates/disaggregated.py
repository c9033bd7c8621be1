"""Units of two pools: every pair of layouts, place and ratio a search spans, sized as one candidate.

A unit has P prefill and D decode replicas of one engine and precision, within one node or one zone, on
one GPU type or, where a search names GPUs for its pools, on two that the engine's connector joins. Its
capacity is what the tighter of its pools holds (``planner.serving.closed_form.pool_capacity``).
A ratio that holds no more than a smaller one of the same pair is rejected: its groups are a superset.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

from planner.deployment import Deployment
from planner.evidence import weakest
from planner.fleet.candidates.candidate import Candidate, Context, Parts, Rejection, known_as
from planner.fleet.candidates.deployments import deployments
from planner.fleet.candidates.derating import Derating, derating
from planner.fleet.candidates.feasibility import groups_in, refusal, split_over_hosts
from planner.fleet.candidates.floors import below_floor_text
from planner.fleet.candidates.handover import handover_reasons, unvalidated_note
from planner.fleet.candidates.pool_link import kv_link
from planner.fleet.candidates.pool_tables import PoolReplica, PoolTables
from planner.fleet.offers.networks import on_usual_network
from planner.fleet.rejection_reason import RejectionReason
from planner.performance import guard
from planner.performance.model import CalibratedStepModel
from planner.performance.prefill_pace import pace_of, pool_steps
from planner.performance.steps import StepModel
from planner.scenario.schema import Service
from planner.scenario.search.disaggregation import Disaggregation
from planner.serving.capacity_limit import LimitedBy
from planner.serving.closed_form.capacity import Capacity
from planner.serving.closed_form.pool_capacity import (
    DecodeTails,
    PrefillTails,
)
from planner.serving.closed_form.unit_point import tabled_point, unit_of, unit_point
from planner.serving.limits import replica_limits
from planner.serving.pools import NODE, ZONE, KvLink, Place, Prefill, decode_limits
from planner.sizing.memory import memory_layout
from planner.sizing.model_memory import support_reasons
from planner.workload.lengths import JointLengths, lengths_of

EQUAL = 1e-5  # capacities that differ by less are equal


def units(context: Context, requested: Disaggregation) -> Iterator[Candidate | Rejection]:
    """Every unit of the search, as a candidate or with the reason that rules it out."""
    pools: list[list[PoolReplica]] = []
    for role, degrees, gpus in (
        ("prefill", requested.prefill_tensor_parallel, requested.prefill_gpus),
        ("decode", requested.decode_tensor_parallel, requested.decode_gpus),
    ):
        kept: list[PoolReplica] = []
        for tried in _layouts(context, role, degrees, gpus):
            if isinstance(tried, Rejection):
                yield tried
            else:
                kept.append(tried)
        pools.append(kept)
    tables = PoolTables(context)
    for mine, theirs in itertools.product(*pools):
        if not _equal(mine.deployment, theirs.deployment, requested):
            continue
        found = _paired(context, requested, tables, mine, theirs)
        slower = not context.networks.is_fastest(mine.deployment, theirs.deployment)
        yield from (one for one in found if not (slower and isinstance(one, Rejection)))


def _paired(
    context: Context,
    requested: Disaggregation,
    tables: PoolTables,
    mine: PoolReplica,
    theirs: PoolReplica,
) -> Iterator[Candidate | Rejection]:
    """Every unit of one pair of layouts; those in a node once, whatever joins nodes."""
    label = f"{mine.deployment.label} before {theirs.deployment.label}"
    apart = next(_apart(mine.deployment, theirs.deployment, context), None)
    if apart is not None:
        yield Rejection(RejectionReason.NO_HANDOVER, label, apart)
        return
    degree = mine.deployment.tensor_parallel
    refused = support_reasons(context.catalog, theirs.deployment, degree)
    if refused:
        yield Rejection(RejectionReason.UNSUPPORTED, label, refused[0])
        return
    fastest = context.networks.is_fastest(mine.deployment, theirs.deployment)
    for within in _places(mine.deployment, theirs.deployment, context, requested):
        if within == ZONE or fastest:
            yield from _pair(context, requested, tables, mine, theirs, within)


def _apart(a: Deployment, b: Deployment, context: Context) -> Iterator[str]:
    """Why pools on two GPU types cannot work together; nothing for one type."""
    if a.gpu.name != b.gpu.name:
        yield from handover_reasons(context.catalog.root, a, b)


def _places(
    a: Deployment, b: Deployment, context: Context, requested: Disaggregation
) -> tuple[Place, ...]:
    """Where units are tried; in a node only where its link is faster than the zone's.

    A unit that may spread over a zone fits wherever one that keeps to a node does; no node has two GPU
    types.
    """
    if a.gpu.name != b.gpu.name:
        return (ZONE,) if ZONE in requested.within else ()
    if len(set(requested.within)) < 2:
        return requested.within
    near, far = (
        kv_link(a, b, a.gpus + b.gpus, place, context.catalog.root, requested)
        for place in (NODE, ZONE)
    )
    spread = near is not None and far is not None and far.gb_s >= near.gb_s
    return (ZONE,) if spread else requested.within


def _equal(a: Deployment, b: Deployment, requested: Disaggregation) -> bool:
    """Whether one may hand its KV cache to the other: engine, formats and drafts, and the GPU type.

    Two GPU types where the search names GPUs for its pools.
    """
    if a.gpu != b.gpu and not requested.mixes_gpus:
        return False
    return (a.engine, a.weights, a.kv_cache, a.draft, a.settings) == (
        b.engine,
        b.weights,
        b.kv_cache,
        b.draft,
        b.settings,
    )


def _layouts(
    context: Context,
    role: str,
    degrees: tuple[int, ...] | None,
    gpus: tuple[str, ...] | None,
) -> Iterator[PoolReplica | Rejection]:
    service, lengths = context.service, context.lengths
    own = {"tensor_parallel": degrees, "gpus": gpus}
    stated = {field: value for field, value in own.items() if value is not None}
    if stated:
        search = service.search.model_copy(update=stated)
        service = service.model_copy(update={"search": search})
    prefills = role == "prefill"
    longest = int(lengths.prompt.max()) if prefills else lengths.max_total
    usual = deployments(service, context.catalog, tuple(context.largest_node))
    rejected: set[Deployment] = set()  # on their fastest network, and so on any slower one
    for deployment in itertools.chain.from_iterable(map(context.networks.every, usual)):
        if on_usual_network(deployment) in rejected:
            continue
        label = f"{deployment.label} as {role} pool"
        found = refusal(deployment, context, longest, apart=True)
        if found is not None:
            rejected.add(on_usual_network(deployment))
            yield Rejection(found[0], label, found[1], found[2])
            continue
        memory = memory_layout(deployment)
        steps = context.known.steps(deployment, context.calibration)
        missed = _below_floor(steps, deployment, context, prefills)
        if missed is not None:
            rejected.add(on_usual_network(deployment))
            yield Rejection(RejectionReason.TOO_SLOW, label, *missed, is_floor=True)
            continue
        limits = (replica_limits if prefills else decode_limits)(deployment, memory)
        paced: StepModel = steps
        if prefills:
            prompt = lengths_of(context.service).mean_prompt
            paced = pool_steps(deployment, context.calibration, context.catalog, prompt)
        yield PoolReplica(deployment, memory, paced, limits, groups_in(deployment, context))


def _below_floor(
    steps: CalibratedStepModel, deployment: Deployment, context: Context, prefills: bool
) -> tuple[str, float] | None:
    """A target that this pool could not meet for the median request, whatever the other does."""
    floors = guard.floors_of(steps.loads, deployment.settings.tokens_per_step)
    prompt = context.median_prompt_tokens
    share = context.service.assumptions.prefix_hit_share
    metric = "ttft" if prefills else "tpot"
    least = floors.ttft_s(prompt, prompt * share) if prefills else floors.tpot_s(prompt)
    stated = (t for t in context.service.slo.targets if t.metric == metric and t.percentile >= 50)
    strictest = min(stated, key=lambda t: t.seconds, default=None)
    if strictest is None or least <= strictest.seconds:
        return None
    detail = below_floor_text(strictest, least)
    return detail, least / strictest.seconds


def _pair(
    context: Context,
    requested: Disaggregation,
    tables: PoolTables,
    mine: PoolReplica,
    theirs: PoolReplica,
    within: Place,
) -> Iterator[Candidate | Rejection]:
    """Every ratio of one pair of layouts in one kind of place, smallest units first."""
    d, root = theirs.deployment, context.catalog.root
    largest = context.largest_node.get(d.gpu.name, 0)
    held: list[tuple[int, int, float]] = []
    for replicas, decoders in sorted(requested.counts, key=lambda c: (sum(c), c)):
        gpus = replicas * mine.deployment.gpus + decoders * d.gpus
        joined = kv_link(mine.deployment, d, gpus, within, root, requested)
        if joined is None:
            lacking = next(g for g in (mine.deployment.gpu, d.gpu) if not g.network_gb_s)
            detail = f"{lacking.name} has no network rate in the catalog: give kv_link.gb_s"
            yield Rejection(RejectionReason.NO_LINK, d.label, detail)
            return
        prefill = Prefill(
            mine.deployment, mine.memory, mine.steps, replicas, decoders, joined, within
        )
        label = prefill.label(d)
        if within == NODE and gpus > largest:
            detail = f"{gpus} GPUs in one node, the largest {d.gpu.name} offer has {largest}"
            yield Rejection(RejectionReason.NOT_OFFERED, label, detail, gpus / max(largest, 1))
            continue
        groups = (mine.deployment.gpus,) * replicas + (d.gpus,) * decoders
        types = {mine.deployment.gpu.name, d.gpu.name}
        split = "" if within == NODE else split_over_hosts(types, groups, context)
        if split:
            yield Rejection(RejectionReason.NO_NETWORK, label, split)
            continue
        found = {b.key: tables.capacity(b.lengths, mine, theirs, prefill) for b in context.buckets}
        best = max(found, key=lambda key: found[key][0])
        qps, bound = found[best]
        if qps <= 0:
            yield Rejection(RejectionReason.TOO_SLOW, label, f"an idle unit misses {bound}")
            continue
        smaller = next(
            (
                h
                for h in held
                if h[0] <= replicas and h[1] <= decoders and h[2] >= qps * (1 - EQUAL)
            ),
            None,
        )
        if smaller is not None:
            yield Rejection(
                RejectionReason.NO_GAIN,
                label,
                f"{smaller[0]}P{smaller[1]}D has a capacity of {smaller[2]:.4g}/s",
            )
            continue
        if len(found) == 1:
            held.append((replicas, decoders, qps))
        lengths = next(b.lengths for b in context.buckets if b.key == best)
        tails = tables.of(lengths, mine, theirs, prefill)
        yield _candidate(context, prefill, mine, theirs, lengths, (qps, bound), found, tails)


def _candidate(
    context: Context,
    prefill: Prefill,
    mine: PoolReplica,
    theirs: PoolReplica,
    lengths: JointLengths,
    best: tuple[float, LimitedBy],
    found: dict[str, tuple[float, LimitedBy]],
    tails: tuple[PrefillTails, DecodeTails],
) -> Candidate:
    service, d = context.service, theirs.deployment
    label = prefill.label(d)
    worse = derating(theirs.steps, service.assurance, prefill.steps)
    if service.buckets is None:
        _guard(label, prefill, d, lengths, best[0], service)
    prompts = prefill.replicas * mine.groups
    groups = prefill.decode_replicas * theirs.groups
    two = prefill.deployment.gpu.name != d.gpu.name
    return Candidate(
        key=f"{service.name}: {label}",
        service=service.name,
        deployment=d,
        capacity=_point(prefill, theirs, lengths, service, worse, best, tails),
        parts=Parts(lambda: theirs.memory, lambda: theirs.steps),
        evidence=weakest((mine.steps.evidence, known_as(theirs.steps, d), prefill.link.evidence)),
        notes=(*_notes(prefill), *(unvalidated_note(context.catalog.root, d) if two else ())),
        bucket_qps={key: qps for key, (qps, _) in found.items() if qps > 0},
        prefill=prefill,
        group_sizes=(prefill.gpus(d),)
        if prefill.within == NODE
        else groups
        if two
        else prompts + groups,
        prefill_groups=prompts if two else (),
    )


def _notes(prefill: Prefill) -> Iterator[str]:
    """What a unit is reckoned with: its link, and the pace of its prompts where one was measured."""
    yield _text(prefill.link)
    pace = pace_of(prefill.steps)
    if pace != 1:
        yield (
            f"prompts take {pace:.2f} times as long as their kernels, as in disaggregated benchmarks "
            f"({prefill.steps.evidence.value})"
        )


def _text(joined: KvLink) -> str:
    return (
        f"KV cache over {joined.kind} at {joined.gb_s:g} GB/s a GPU and "
        f"{1e3 * joined.latency_s:g} ms ({joined.evidence.value})"
    )


def _point(
    prefill: Prefill,
    theirs: PoolReplica,
    lengths: JointLengths,
    service: Service,
    worse: Derating,
    best: tuple[float, LimitedBy],
    tails: tuple[PrefillTails, DecodeTails],
) -> Capacity:
    """The unit at its capacity, with the step times it was sized for."""
    qps, bound = best
    unit = unit_of(
        prefill,
        theirs.deployment,
        theirs.memory,
        worse.slowed(theirs.steps),
        worse.slowed_prefill(prefill.steps),
    )
    slo, cv = worse.tightened(service.slo), service.prompts_cv
    rate, share = qps * worse.demand, service.assumptions.prefix_hit_share

    def latency() -> Mapping[str, float]:
        return unit_point(unit, lengths, slo, rate, cv, share).latency_s

    return replace(tabled_point(*tails, unit, rate, bound, latency), qps=qps)


def _guard(
    where: str,
    prefill: Prefill,
    decode: Deployment,
    lengths: JointLengths,
    qps: float,
    service: Service,
) -> None:
    """Raise PhysicsBreach where a pool is said to do more than its arithmetic at peak."""
    share = service.assumptions.prefix_hit_share
    prompts = guard.floors(prefill.deployment).requests_per_s(lengths.mean_prompt * (1 - share), 1)
    answers = guard.floors(decode).requests_per_s(0.0, lengths.mean_output)
    for what, ceiling in (
        ("prefill capacity", prefill.replicas * prompts),
        ("decode capacity", prefill.decode_replicas * answers),
    ):
        guard.check(qps, ceiling, what, where=where, at_most=True)
