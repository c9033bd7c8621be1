"""A start-up log turned into the deployment it describes, and the plan for it set beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.deployment import Deployment, EngineSettings
from planner.sizing.boot_log.identity import (
    logged_gpu,
    logged_kv_format,
    logged_model,
    logged_weights,
)
from planner.sizing.boot_log.parts import PartCheck, part_checks, printed_pool_bytes
from planner.sizing.boot_log.reader import BootLog
from planner.sizing.coefficients import GRAPH_COEFFICIENTS, memory_coefficients
from planner.sizing.memory import context_gib, memory_layout
from planner.sizing.model_memory import SizingLayout, deployment_of

STAND_IN = "h100-sxm-80gb"  # weights and KV per token do not depend on the GPU
NEAREST_POOL = 0.05


@dataclass(frozen=True, slots=True)
class BootCheck:
    """A start-up compared with the plan for it; ``assumptions`` says what the log left open."""

    log: BootLog
    deployment: Deployment
    parts: tuple[PartCheck, ...]
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the user says where the log is silent or wrong."""

    model: ModelSpec | None = None
    gpu: GpuSpec | None = None
    weights: str | None = None
    kv_cache: str | None = None
    tensor_parallel: int | None = None
    engine: str | None = None
    engine_version: str | None = None


def check_boot_log(catalog: Catalog, log: BootLog, given: Overrides | None = None) -> BootCheck:
    """Plan the deployment a log describes and set every part beside what was printed.

    Raises InputError when the model cannot be determined, or the layout cannot be launched.
    """
    given = given or Overrides()
    model = given.model or logged_model(catalog, log)
    gpu, origin = logged_gpu(catalog, log, given.gpu)
    note = ""
    # What cannot be, raises.
    first = _deployment(catalog, log, model, gpu or catalog.gpu(STAND_IN), given)
    assumptions = _assumptions(log, given, first)
    if gpu is None:
        gpu, note = _gpu_by_pool(catalog, log, model, given)
        origin = "" if gpu is None else f"GPU: {gpu.name}; {note}"
        note = note or "the GPU is not known: say it with --gpu"
    if origin:
        assumptions.append(origin)
    known = gpu is not None
    deployment = _deployment(catalog, log, model, gpu or catalog.gpu(STAND_IN), given)
    parts = part_checks(deployment, log, gpu_known=known, gpu_note=note)
    return BootCheck(log, deployment, parts, tuple(assumptions))


def _deployment(
    catalog: Catalog, log: BootLog, model: ModelSpec, gpu: GpuSpec, given: Overrides
) -> Deployment:
    """The deployment a log describes on ``gpu``, sampling and capturing graphs as the log says."""
    layout = SizingLayout(
        gpu=_with_free_memory(catalog, gpu, log),
        engine=given.engine or log.engine,
        engine_version=given.engine_version or log.version,
        oldest_instead=True,
        tensor_parallel=given.tensor_parallel or max(1, log.tensor_parallel // _attention_dp(log)),
        pipeline_parallel=log.pipeline_parallel,
        data_parallel=_attention_dp(log),
        expert_parallel=log.tensor_parallel if _attention_dp(log) > 1 else 1,
        settings=EngineSettings(
            memory_fraction=log.memory_fraction,
            max_num_seqs=log.max_num_seqs,
            max_num_batched_tokens=log.max_num_batched_tokens,
            max_model_len_tokens=log.max_model_len,
            draft_tokens=max(1, log.draft_tokens) if "mtp" in (log.draft or "").lower() else 0,
            prefix_caching=log.prefix_caching,
        ),
    )
    weights = given.weights or logged_weights(log)
    kv_cache = given.kv_cache or logged_kv_format(log)
    deployment = deployment_of(catalog, model, weights, kv_cache, layout)
    changes = dict(deployment.engine.memory)
    if log.fused_sampler:
        changes["sampler_bytes_per_logit"] = changes["fused_sampler_bytes_per_logit"]
    if log.eager:
        changes |= dict.fromkeys(GRAPH_COEFFICIENTS, 0.0)
    limits = deployment.engine.gpu_limits
    if log.fused_sampler is not None:  # the log's word on the sampler before the class's
        limits = tuple(replace(one, sampler_bytes_per_logit=None) for one in limits)
    engine = replace(deployment.engine, memory=tuple(changes.items()), gpu_limits=limits)
    return replace(deployment, engine=engine)


def _gpu_by_pool(
    catalog: Catalog, log: BootLog, model: ModelSpec, given: Overrides
) -> tuple[GpuSpec | None, str]:
    """The GPU whose planned pool comes nearest to the printed one, when one comes near at all."""

    def away(gpu: GpuSpec) -> float:
        plan = memory_layout(_deployment(catalog, log, model, gpu, given))
        printed = printed_pool_bytes(plan, log)
        return abs(plan.kv_pool_bytes / printed - 1) if printed else math.inf

    nearest = min(catalog.gpus(), key=away)
    if away(nearest) > NEAREST_POOL:
        return None, ""
    return nearest, "the log names none, this one's pool comes nearest, which checks nothing"


def _assumptions(log: BootLog, given: Overrides, deployment: Deployment) -> list[str]:
    found = []
    if not (given.engine_version or log.version):
        found.append(f"{log.engine}'s version: the catalog's default")
    if deployment.engine.defaults_of:
        engine = deployment.engine
        found.append(f"{engine.name} {engine.version} is not listed: as {engine.defaults_of}")
    if log.memory_fraction is None:
        found.append("memory fraction: the engine version's default")
    if log.max_num_seqs is None:
        found.append("max_num_seqs: the engine's default on this GPU")
    return found


def _attention_dp(log: BootLog) -> int:
    """SGLang's dp_size divides tp_size when attention is data parallel; vLLM's multiplies it."""
    return max(1, log.data_parallel) if log.engine == "sglang" else 1


def _with_free_memory(catalog: Catalog, gpu: GpuSpec, log: BootLog) -> GpuSpec:
    """SGLang says what was free before loading: the visible memory is that and the context."""
    if log.free_before_gib is None or log.engine != "sglang":
        return gpu
    coefficients = memory_coefficients(catalog.engine(log.engine, log.version, oldest_instead=True))
    context = context_gib(gpu, log.tensor_parallel, coefficients)
    return replace(gpu, cuda_visible_gib=log.free_before_gib + context)
