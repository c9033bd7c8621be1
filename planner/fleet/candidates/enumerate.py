"""Every deployment a service may try: a candidate with its capacity, or a rejection with its numbers.

The checks run from cheap to dear: permission, legality, offer, support, memory, floors, capacity. A
deployment stops at the first that rules it out, and keeps the reason in words and how far it missed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.fleet.candidates.buckets import buckets_of
from planner.fleet.candidates.bursts import calmer
from planner.fleet.candidates.candidate import Candidate, CandidateSet, Context, Rejection
from planner.fleet.candidates.cuts import WHOLE, GpuCut, cuts_of
from planner.fleet.candidates.deployments import deployments, service_model, without_draft
from planner.fleet.candidates.feasibility import node_room
from planner.fleet.candidates.known import Known, Span, SpannedLayout, digest
from planner.fleet.candidates.layouts import deeper_layouts
from planner.fleet.candidates.outcomes import outcome_name
from planner.fleet.candidates.recall import recalled, row_of
from planner.fleet.candidates.replica import LoadedReplica, loaded, sized
from planner.fleet.offers.networks import OfferedNetworks, on_usual_network
from planner.fleet.rejection_reason import RejectionReason
from planner.performance.factors import Calibration
from planner.scenario.fleet import GpuPart
from planner.scenario.request_classes import by_priority
from planner.scenario.schema import Service
from planner.serving.closed_form.capacity import solve_ahead
from planner.serving.closed_form.rate_states import RateStates
from planner.workload.lengths import lengths_of

# what decides how much of a service one replica carries, whatever comes of it
BROUGHT = {  # fields of a service that say how much of what arrives, or what is searched
    "rate",
    "prompt_tokens",
    "output_tokens",
    "length_correlation",
    "load",
    "search",
    "priority",
    "max_deployments",
}

Part = tuple[str, str, str, str]  # GPU, engine, weights, KV cache
Prepared = dict[str, LoadedReplica | Rejection]  # by the text of a layout
Try = Callable[[SpannedLayout], Candidate | Rejection]
Sizing = Callable[[Iterable[SpannedLayout]], Try]  # looks at layouts together, then at one by one


def enumerate_candidates(
    service: Service,
    catalog: Catalog,
    offers: Iterable[Offer],
    calibration: Calibration,
    gpu_shares: tuple[GpuPart, ...] = (),
    known: Known | None = None,
    past_floors: bool = False,
) -> CandidateSet:
    """Size every deployment that ``service.search`` spans on the GPUs that ``offers`` hold.

    ``gpu_shares``: parts of one GPU a replica may take besides whole ones. ``known``: of deployments,
    from earlier calls with this catalog and calibration. ``past_floors``: deployments that miss a target by
    their physical floor are rejected with what is predicted of them. Raises InputError for a
    name the catalog does not know, PhysicsBreach when a prediction beats a floor.
    """
    context = context_of(service, catalog, offers, calibration, known or Known())
    if past_floors:
        context = replace(context, past_floors=True, outcomes=None)
    return candidates_of(context, gpu_shares, lambda layouts: in_full(layouts, context))


def candidates_of(
    context: Context, gpu_shares: tuple[GpuPart, ...], sizing: Sizing
) -> CandidateSet:
    """What ``sizing`` makes of every deployment that a service's search spans."""
    span = _spanned(context, gpu_shares, context.service.search.model_dump_json())
    return _set_of(context, span, sizing(span), sizing)


def in_full(layouts: Iterable[SpannedLayout], context: Context) -> Try:
    """How each of ``layouts`` is sized, the steady states of new ones solved together."""
    prepared = _prepared(layouts, context)
    return lambda layout: try_with(prepared, layout, context)


def enumerate_parts(
    service: Service,
    catalog: Catalog,
    offers: Iterable[Offer],
    calibration: Calibration,
    gpu_shares: tuple[GpuPart, ...],
    known: Known,
    parts: Sequence[Part],
) -> list[CandidateSet]:
    """What ``enumerate_candidates`` gives for each of ``parts`` of the search alone, sized together."""
    context = context_of(service, catalog, offers, calibration, known)
    search = service.search
    rest = search.model_dump_json(exclude={"gpus", "engines", "weights", "kv_cache"})
    contexts, spans = [], []
    for gpu, engine, weights, kv_cache in parts:
        alone = {
            "gpus": (gpu,),
            "engines": (engine,),
            "weights": (weights,),
            "kv_cache": (kv_cache,),
        }
        narrow = service.model_copy(update={"search": search.model_copy(update=alone)})
        contexts.append(replace(context, service=narrow))
        spans.append(_spanned(contexts[-1], gpu_shares, rest, gpu, engine, weights, kv_cache))
    prepared = _prepared(itertools.chain(*spans), context)

    def sized(c: Context, span: Span) -> CandidateSet:
        return _set_of(c, span, lambda x: try_with(prepared, x, c), lambda some: in_full(some, c))

    return [sized(c, span) for c, span in zip(contexts, spans, strict=True)]


def _set_of(context: Context, span: Span, attempt: Try, sizing: Sizing) -> CandidateSet:
    candidates: list[Candidate] = []
    rejections: list[Rejection] = []
    for tried in _tried(context, span, attempt, sizing):
        if isinstance(tried, Candidate):
            candidates.append(tried)
        else:
            rejections.append(tried)
    return CandidateSet(context.service.name, tuple(candidates), tuple(rejections))


def context_of(
    service: Service,
    catalog: Catalog,
    offers: Iterable[Offer],
    calibration: Calibration,
    known: Known,
) -> Context:
    """What every deployment of a service is tried under, on the GPUs that ``offers`` hold."""
    offers = tuple(offers)
    largest: dict[str, int] = {}
    for offer in offers:
        largest[offer.gpu] = max(largest.get(offer.gpu, 0), offer.gpu_count)
    arriving = lengths_of(service)
    bursts = {"rate", "load"} if service.arrivals.cv > 1 else set()  # split over more replicas
    required, load = service.model_dump_json(exclude=BROUGHT - bursts), digest(arriving)
    lengths = known.lengths.of(load, lambda: arriving)
    kept, model = known.outcomes, known.model_text(service_model(service, catalog))
    return Context(
        service=service,
        catalog=catalog,
        calibration=calibration,
        lengths=lengths,
        buckets=buckets_of(service.name, lengths, service.buckets),
        median_prompt_tokens=lengths.median_prompt()[0],
        largest_node=largest,
        networks=OfferedNetworks.of(offers, catalog),
        known=known,
        required=required,
        load=load,
        model_text=model,
        outcomes=kept.of(required, load, model) if kept else None,
    )


def _spanned(context: Context, gpu_shares: tuple[GpuPart, ...], *search: str) -> Span:
    """Every layout of one stage the search spans, on whole GPUs and on shares of one.

    ``search``: all of it, as text. Nothing is spanned where the search has pools alone.
    """
    service, offered = context.service, tuple(context.largest_node)
    pools = service.search.disaggregation
    if pools is not None and not pools.colocated:
        return ()

    def made() -> Span:
        return tuple(
            context.known.layout(deployment, cut)
            for usual in deployments(service, context.catalog, offered)
            for deployment in context.networks.over(usual)
            for cut in (WHOLE, *_parts(deployment, gpu_shares, context))
        )

    rates = tuple(context.networks.rates.items())
    ordered = by_priority(service.classes)
    key = (context.model_text, offered, rates, gpu_shares, service.lora, ordered, *search)
    return context.known.spans.of(key, made)


def _parts(
    deployment: Deployment, gpu_shares: tuple[GpuPart, ...], context: Context
) -> Iterator[GpuCut]:
    """Parts of its GPU that a replica on one GPU may have instead."""
    if deployment.gpus == 1:
        yield from cuts_of(gpu_shares, deployment.gpu.name, context.catalog.root)


def _tried(
    context: Context, span: Span, attempt: Try, sizing: Sizing
) -> Iterator[Candidate | Rejection]:
    """Replicas that do both, then units of two pools where the search asks for them."""
    pools = context.service.search.disaggregation
    yield from _unpriced(context)
    for lacking in without_draft(context.service, context.catalog):
        yield Rejection(RejectionReason.NO_DRAFT, lacking.label, lacking.detail)
    short: dict[Deployment, bool] = {}
    for layout, tried in _fastest_first(span, attempt):
        yield tried
        if layout.cut == WHOLE:
            one = layout.single
            short[one] = short.get(one, True) and _is_short(tried)
    deeper = [one for one, lacks in short.items() if lacks]
    if deeper:
        yield from _deeper(deeper, context, sizing)
    if pools is not None:
        from planner.fleet.candidates.disaggregated import units

        yield from units(context, pools)


def _fastest_first(
    span: Iterable[SpannedLayout], attempt: Try
) -> Iterator[tuple[SpannedLayout, Candidate | Rejection]]:
    """What comes of each layout; of one that is rejected, nothing of the same on slower networks."""
    rejected: set[tuple[Deployment, GpuCut]] = set()
    for layout in span:
        usual = (on_usual_network(layout.whole), layout.cut)
        if usual in rejected:
            continue
        tried = attempt(layout)
        if isinstance(tried, Rejection):
            rejected.add(usual)
        yield layout, tried


def _unpriced(context: Context) -> Iterator[Rejection]:
    """The GPU types that the search names and that no offer has, each once."""
    named = context.service.search.gpus
    gpus = () if named == "all" else dict.fromkeys(context.catalog.gpu(n).name for n in named)
    missing = [gpu for gpu in gpus if gpu not in context.largest_node]
    listed = context.catalog.offers() if missing else ()
    for gpu in missing:
        offers = [o for o in listed if o.gpu == gpu]
        if offers:
            terms = ", ".join(sorted({o.term.value for o in offers}))
            tiers = ", ".join(sorted({o.tier for o in offers if o.tier}))
            detail = (
                f"no offer that prices admits has {gpu}, whose offers are {terms}"
                + (f" (tiers {tiers})" if tiers else "")
                + ": widen its terms, tiers, confidence, providers or regions"
            )
        else:
            detail = (
                f"no price is known for {gpu}: give one in prices.file, or list nodes of your own "
                "under existing"
            )
        yield Rejection(RejectionReason.NO_PRICE, gpu, detail)


def _is_short(tried: Candidate | Rejection) -> bool:
    """Whether a layout of one stage lacks the memory, or the ranks it would take to have it."""
    lacks = (
        RejectionReason.NO_MEMORY,
        RejectionReason.NO_LONGEST,
        RejectionReason.ILLEGAL,
        RejectionReason.NOT_OFFERED,
    )
    return isinstance(tried, Rejection) and tried.reason in lacks


def _deeper(
    ones: list[Deployment], context: Context, sizing: Sizing
) -> Iterator[Candidate | Rejection]:
    """The same GPU, engine and formats in pipeline stages, up to the fewest that hold the model."""
    degrees = deeper_layouts(context.service.search, ones[0].model)
    widths = {
        stages: tuple(x.tensor for x in degrees if x.pipeline == stages)
        for stages in dict.fromkeys(x.pipeline for x in degrees)
    }

    def cut(one: Deployment, pipeline: int) -> Span:
        key = (one, pipeline, widths[pipeline])
        rates = context.networks.rates.get(one.gpu.name)
        return context.known.deeper.of((*key, rates), lambda: _in_stages(*key, context))

    stages = list(widths)
    first = {one: cut(one, stages[0]) for one in ones} if stages else {}
    attempt = sizing(itertools.chain(*first.values()))
    for one in first:
        for pipeline in stages:
            layouts = first[one] if pipeline == stages[0] else cut(one, pipeline)
            tried = [found for _, found in _fastest_first(layouts, attempt)]
            yield from tried
            if not all(_is_short(t) for t in tried):
                break


def _in_stages(one: Deployment, pipeline: int, widths: tuple[int, ...], context: Context) -> Span:
    """A deployment in so many stages, at each degree of tensor parallelism."""
    return tuple(
        context.known.layout(staged, WHOLE)
        for tensor in widths
        for staged in context.networks.over(
            replace(one, tensor_parallel=tensor, pipeline_parallel=pipeline)
        )
    )


def try_with(prepared: Prepared, layout: SpannedLayout, context: Context) -> Candidate | Rejection:
    """How a layout fares, as it is known or sized from ``prepared``."""
    key = _tried_as(layout, context)
    tried = context.known.tried.of(key, lambda: _tried_before(layout, context, prepared))
    assert isinstance(tried, Candidate | Rejection)
    return tried


def _tried_before(
    layout: SpannedLayout, context: Context, prepared: Prepared
) -> Candidate | Rejection:
    """As it was sized in an earlier run where its outcome is kept, else sized now."""

    def now() -> Candidate | Rejection:
        prepared_now = (
            prepared if layout.text in prepared else _settled({layout.text: layout}, context)
        )
        return sized(prepared_now[layout.text], layout, context)

    outcomes = context.outcomes
    if outcomes is None:
        return now()
    name = outcome_name(layout.text, node_room(layout.whole, context))
    row = outcomes.find(name)
    known = recalled(row, layout, context, now) if row is not None else None
    if known is not None:
        return known
    tried = now()
    outcomes.keep(name, row_of(tried))
    return tried


def is_tried(layout: SpannedLayout, context: Context) -> bool:
    """Whether this run has tried a layout."""
    return _tried_as(layout, context) in context.known.tried


def is_known(layout: SpannedLayout, context: Context) -> bool:
    """Whether this or an earlier run has tried a layout."""
    if is_tried(layout, context):
        return True
    if context.outcomes is None:
        return False
    name = outcome_name(layout.text, node_room(layout.whole, context))
    return context.outcomes.find(name) is not None


def _tried_as(layout: SpannedLayout, context: Context) -> tuple[Hashable, ...]:
    """What decides how a deployment fares."""
    room = node_room(layout.whole, context)
    return (
        layout.text,
        context.model_text,
        *room,
        context.required,
        context.load,
        context.past_floors,
    )


def _prepared(layouts: Iterable[SpannedLayout], context: Context) -> Prepared:
    """Replicas that are new, by layout, their steady states solved together."""
    return _settled({x.text: x for x in layouts if not is_known(x, context)}, context)


def _settled(layouts: Mapping[str, SpannedLayout], context: Context) -> Prepared:
    """Each replica with the steady states that its capacity is read from, bursts split among replicas."""
    found: Prepared = {text: loaded(x, context) for text, x in layouts.items()}
    new = {text: one for text, one in found.items() if isinstance(one, LoadedReplica)}
    while new:
        solve_ahead(
            [
                (states, one.slo)
                for one in new.values()
                for states in one.states.values()
                if isinstance(states, RateStates)
            ]
        )
        again = {text: calmer(one, layouts[text], context) for text, one in new.items()}
        new = {text: one for text, one in again.items() if one is not None}
        found |= new
    return found
