"""A plan's replica groups rebuilt: the deployment, memory and step times that their fields name.

Every reader of a plan (verification, simulation, reports, launch files) rebuilds a group here, so that
all of them see the same layout on the same share of a GPU with the same settings.
"""

from __future__ import annotations

from dataclasses import fields, replace

from pydantic import TypeAdapter, ValidationError

from planner.catalog.drafts import draft_model
from planner.catalog.store import Catalog
from planner.deployment import Deployment, Draft, EngineSettings
from planner.errors import InputError
from planner.fleet.candidates.cuts import GpuCut, beside_others, cut_gpu
from planner.fleet.candidates.deployments import service_model
from planner.fleet.offers.networks import on_network
from planner.performance.factors import Calibration
from planner.performance.prefill_pace import pool_steps
from planner.performance.replica_steps import replica_steps
from planner.plan.prefill_pool import PrefillPool
from planner.plan.replica_group import ReplicaGroup
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.serving.pools import KvLink, Prefill
from planner.sizing.memory import memory_layout
from planner.sizing.precision import weights_for
from planner.workload.lengths import lengths_of

_SETTINGS = TypeAdapter(EngineSettings)


def deployment_of(service: Service, group: ReplicaGroup, catalog: Catalog) -> Deployment:
    """The layout of one replica of ``group``; of one that decodes, where prompts run apart.

    Raises InputError for a degree, a share or a setting that makes no sense and for a name that the
    catalog does not know.
    """
    if min(group.degrees) < 1:
        raise InputError("a replica has at least one GPU along each axis", found=group.degrees)
    if not 0 < group.gpu_share <= 1:
        raise InputError(
            "a replica takes a share of its GPU",
            found=group.gpu_share,
            allowed="above 0, at most 1",
        )
    model = service_model(service, catalog)
    whole = on_network(
        beside_others(catalog.gpu(group.gpu), service.search.reserved_memory), group.network_gb_s
    )
    cut = GpuCut(group.gpu_share, group.profile)
    tp, pp, dp, ep = group.degrees
    return Deployment(
        model=model,
        gpu=cut_gpu(whole, cut, catalog),
        engine=catalog.engine(group.engine, group.engine_version),
        tensor_parallel=tp,
        pipeline_parallel=pp,
        data_parallel=dp,
        expert_parallel=ep,
        weights=weights_for(model, group.weights, catalog.weight_format),
        kv_cache=catalog.kv_format(group.kv_cache),
        settings=_settings(group),
        draft=_draft(group, catalog),
    )


def _draft(group: ReplicaGroup, catalog: Catalog) -> Draft | None:
    """What drafts for the group; raises InputError for a draft that the catalog does not know."""
    written = group.speculation
    if written is None:
        return None
    if group.settings.get("draft_tokens") != written.draft_tokens:
        raise InputError(
            "a plan that drafts says the same number of tokens twice",
            where="speculation.draft_tokens",
            found=f"{written.draft_tokens} and {group.settings.get('draft_tokens')}",
        )
    spec = draft_model(catalog, written.checkpoint) if written.checkpoint else None
    return Draft(
        method=written.method,
        model=spec,
        weights=weights_for(spec, written.weights, catalog.weight_format) if spec else None,
        checkpoint=written.checkpoint,
        evidence=written.evidence,
        source=written.source,
    )


def _settings(group: ReplicaGroup) -> EngineSettings:
    known = {f.name for f in fields(EngineSettings)}
    unknown = sorted(set(group.settings) - known)
    if unknown:
        raise InputError("no such engine setting", found=unknown[0], allowed=", ".join(known))
    negative = [name for name, value in group.settings.items() if value is not None and value < 0]
    if negative:
        where = f"settings.{negative[0]}"
        raise InputError("a setting below 0", where=where, found=group.settings[negative[0]])
    try:
        return _SETTINGS.validate_python(group.settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"settings.{'.'.join(map(str, first['loc']))}"
        raise InputError(first["msg"], where=where, found=first["input"]) from None


def placed(
    service: Service,
    group: ReplicaGroup,
    catalog: Catalog,
    calibration: Calibration,
    rate_qps: float | None = None,
) -> Placed:
    """The group's replicas with all that can be computed about them.

    rate_qps: requests/s that they get together, by default what the plan routes to them. Raises
    InputError as ``deployment_of`` does.
    """
    deployment = deployment_of(service, group, catalog)
    return Placed(
        deployment,
        memory_layout(deployment),
        replica_steps(deployment, calibration),
        group.replicas,
        group.routed_qps if rate_qps is None else rate_qps,
        _prefill(deployment, group.prefill, service, catalog, calibration),
    )


def _prefill(
    decode: Deployment,
    pool: PrefillPool | None,
    service: Service,
    catalog: Catalog,
    calibration: Calibration,
) -> Prefill | None:
    """The prompts' side of the group's units; None where its replicas do both."""
    if pool is None:
        return None
    deployment = prefill_deployment(decode, pool, service, catalog)
    return Prefill(
        deployment,
        memory_layout(deployment),
        pool_steps(deployment, calibration, catalog, lengths_of(service).mean_prompt),
        pool.replicas,
        pool.decode_replicas,
        KvLink(pool.link_gb_s, pool.link_latency_s, pool.link, pool.link_evidence),
        pool.within,
    )


def prefill_deployment(
    decode: Deployment, pool: PrefillPool, service: Service, catalog: Catalog
) -> Deployment:
    """The prefill pool's layout: the decode pool's, cut by degrees of its own, on its own GPU type.

    Raises InputError for a count or a rate that makes no sense, or an unknown GPU.
    """
    if min(*pool.degrees, pool.replicas, pool.decode_replicas) < 1:
        raise InputError("a pool has at least one replica and one GPU along each axis")
    if pool.link_gb_s <= 0 or pool.link_latency_s < 0:
        raise InputError("a KV link has a rate above 0", found=pool.link_gb_s)
    tp, pp, dp, ep = pool.degrees
    gpu = decode.gpu
    if pool.gpu:
        own = beside_others(catalog.gpu(pool.gpu), service.search.reserved_memory)
        gpu = on_network(own, pool.network_gb_s)
    return replace(
        decode,
        gpu=gpu,
        tensor_parallel=tp,
        pipeline_parallel=pp,
        data_parallel=dp,
        expert_parallel=ep,
    )
