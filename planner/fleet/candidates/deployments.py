"""Every layout a search spans, and the model and share of a GPU it is laid out on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from planner.catalog.inline_model import parse_inline
from planner.catalog.model import ModelSpec
from planner.catalog.pooling import Pooled, is_encoder, pooling_model
from planner.catalog.store import Catalog
from planner.deployment import (
    Deployment,
    EngineSettings,
    degrees_label,
    replica_name,
)
from planner.fleet.candidates.cuts import GpuCut, beside_others
from planner.fleet.candidates.layouts import layouts
from planner.fleet.candidates.speculation import Drafting, NoDraft, draftings
from planner.scenario.lora import Lora
from planner.scenario.request_classes import by_priority
from planner.scenario.schema import Service
from planner.scenario.search.fields import Settings
from planner.scenario.task import GENERATE, Task
from planner.sizing.batch_limits import batch_limits, prefix_caching
from planner.sizing.dtypes import as_launched
from planner.sizing.precision import weights_for
from planner.units import GB

POOLED_HEADS: Mapping[Task, Pooled] = {"embed": "none", "rerank": "score", "classify": "score"}


def deployments(service: Service, catalog: Catalog, offered: Sequence[str]) -> Iterator[Deployment]:
    """Every layout the search spans on the GPU types in ``offered``, each once, in a fixed order.

    Friendly precisions become the model's own formats, and 16-bit ones the type the GPU has, so that
    two names may mean one deployment.
    """
    search = service.search
    model = service_model(service, catalog)
    names = sorted(offered) if search.gpus == "all" else search.gpus
    found = dict.fromkeys(catalog.gpu(n) for n in names)
    gpus = [beside_others(g, search.reserved_memory) for g in found if g.name in offered]
    weights = list(
        dict.fromkeys(weights_for(model, w, catalog.weight_format) for w in search.weights)
    )
    caches = list(dict.fromkeys(catalog.kv_format(k) for k in search.kv_cache))
    settings = engine_settings(search.settings)
    if service.lora is not None:
        loaded, rank = service.lora.loaded, service.lora.rank
        settings = replace(settings, lora_adapters=loaded, lora_rank=rank)
    if by_priority(service.classes):
        settings = replace(settings, priority_scheduling=True)
    seen: set[Deployment] = set()
    serving = {name: catalog.engine_serving(name, model.architecture) for name in search.engines}
    ways = {
        name: [
            way
            for way in draftings(search.speculative, model, engine, catalog)
            if not isinstance(way, NoDraft)
        ]
        for name, engine in serving.items()
    }
    for engine, gpu, layout, fmt, kv in itertools.product(
        search.engines, gpus, layouts(search, model), weights, caches
    ):
        named = Deployment(
            model=model,
            gpu=gpu,
            engine=serving[engine],
            tensor_parallel=layout.tensor,
            pipeline_parallel=layout.pipeline,
            data_parallel=layout.data,
            expert_parallel=layout.expert,
            weights=fmt,
            kv_cache=kv,
            settings=settings,
        )
        launched = as_launched(named, catalog.weight_format, catalog.kv_format)
        if service.assumptions.prefix_hit_share > 0:
            launched = with_prefix_cache(launched)
        if service.lora is not None:
            launched = within_adapters(launched, service.lora)
        for way in ways[engine]:
            deployment = launched if way is None else drafting(launched, way)
            if deployment not in seen:
                seen.add(deployment)
                yield deployment


def without_draft(service: Service, catalog: Catalog) -> Iterator[NoDraft]:
    """The ways to draft that the search names and that its model or engines do not have."""
    model = service_model(service, catalog)
    for name in service.search.engines:
        engine = catalog.engine_serving(name, model.architecture)
        for way in draftings(service.search.speculative, model, engine, catalog):
            if isinstance(way, NoDraft):
                yield way


def drafting(deployment: Deployment, way: Drafting) -> Deployment:
    """The same layout, drafting that way."""
    settings = replace(
        deployment.settings, draft_tokens=way.tokens, draft_acceptance=way.acceptance
    )
    return replace(deployment, settings=settings, draft=way.draft)


def with_prefix_cache(deployment: Deployment) -> Deployment:
    """The same with prefix caching switched on where the engine leaves it off by default.

    For workloads that state a share of cached prompt tokens. An encoder has no cache to switch on.
    """
    if prefix_caching(deployment) or is_encoder(deployment.model):
        return deployment
    return replace(deployment, settings=replace(deployment.settings, prefix_caching=True))


def within_adapters(deployment: Deployment, lora: Lora) -> Deployment:
    """The same with no larger batches than its loaded adapters serve.

    A step serves as many distinct adapters as are loaded; a request for another one waits. A batch that
    names no more of them in the mean is what a replica can run (``Lora.most_sequences``).
    """
    limits, most = batch_limits(deployment), lora.most_sequences
    if most is None or most >= limits.rank_sequences:
        return deployment
    whole = most * limits.ranks if limits.divided else most
    return replace(deployment, settings=replace(deployment.settings, max_num_seqs=whole))


def engine_settings(pinned: Settings) -> EngineSettings:
    """The settings that a scenario pins, as a deployment has them."""
    given = pinned.model_dump(exclude={"kv_offload"})  # without what is at its default
    offload = pinned.kv_offload
    if offload is None:
        return EngineSettings(**given)
    return EngineSettings(
        **given,
        offload_host_gb=offload.host_memory / GB,
        offload_gb_s=offload.bandwidth_gb_s or 0.0,
        offload_disk_gb=(offload.disk or 0.0) / GB,
        offload_disk_gb_s=offload.disk_gb_s or 0.0,
    )


def service_model(service: Service, catalog: Catalog) -> ModelSpec:
    """The model of a service: of a name, a path, or the shapes given in the scenario itself.

    Where the service pools its prompts, the model as an engine's pooling runner loads it.
    """
    if isinstance(service.model, str):
        model = catalog.model(service.model)
    else:
        model = parse_inline(service.model, where=service.name)
    return model if service.task == GENERATE else pooling_model(model, POOLED_HEADS[service.task])


def name_on_part(deployment: Deployment, cut: GpuCut) -> str:
    """The name of one replica on a part of its GPU, see ``replica_name``."""
    d = deployment
    parallel = degrees_label(d.degrees)
    formats = (d.weights.name, d.kv_cache.name)
    return replica_name(
        d.gpus,
        d.gpu.name,
        d.engine.name,
        parallel,
        *formats,
        cut.share,
        d.speculation,
        cut.profile,
        d.gpu.offered_network_gb_s,
    )
