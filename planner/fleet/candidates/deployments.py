"""Every layout a search spans, and the model and share of a GPU it is laid out on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from planner.catalog.gpu import GpuSpec
from planner.catalog.inline_model import parse_inline
from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.deployment import (
    Deployment,
    EngineSettings,
    degrees_label,
    replica_name,
)
from planner.fleet.candidates.layouts import layouts
from planner.scenario.schema import Service, Settings
from planner.sizing.dtypes import as_launched
from planner.sizing.precision import weights_for
from planner.units import GB


def deployments(service: Service, catalog: Catalog, offered: Sequence[str]) -> Iterator[Deployment]:
    """Every layout the search spans on the GPU types in ``offered``, each once, in a fixed order.

    Friendly precisions become the model's own formats, and 16-bit ones the type the GPU has, so that
    two names may mean one deployment.
    """
    search = service.search
    model = service_model(service, catalog)
    names = sorted(offered) if search.gpus == "all" else search.gpus
    gpus = [g for g in dict.fromkeys(catalog.gpu(n) for n in names) if g.name in offered]
    weights = list(
        dict.fromkeys(weights_for(model, w, catalog.weight_format) for w in search.weights)
    )
    caches = list(dict.fromkeys(catalog.kv_format(k) for k in search.kv_cache))
    settings = engine_settings(search.settings)
    seen: set[Deployment] = set()
    for engine, gpu, layout, fmt, kv in itertools.product(
        search.engines, gpus, layouts(search, model), weights, caches
    ):
        named = Deployment(
            model=model,
            gpu=gpu,
            engine=catalog.engine_serving(engine, model.architecture),
            tensor_parallel=layout.tensor,
            pipeline_parallel=layout.pipeline,
            data_parallel=layout.data,
            expert_parallel=layout.expert,
            weights=fmt,
            kv_cache=kv,
            settings=settings,
        )
        deployment = as_launched(named, catalog.weight_format, catalog.kv_format)
        if deployment not in seen:
            seen.add(deployment)
            yield deployment


def engine_settings(pinned: Settings) -> EngineSettings:
    """The settings that a scenario pins, as a deployment has them."""
    given = pinned.model_dump(exclude={"kv_offload"})
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


def name_on_share(deployment: Deployment, gpu_share: float) -> str:
    """The name of one replica on ``gpu_share`` of its GPU, see ``replica_name``."""
    d = deployment
    parallel = degrees_label(d.degrees)
    formats = (d.weights.name, d.kv_cache.name)
    return replica_name(d.gpus, d.gpu.name, d.engine.name, parallel, *formats, gpu_share)
