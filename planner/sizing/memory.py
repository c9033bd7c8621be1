"""What a deployment occupies on each GPU: a partition of the CUDA-visible memory.

Every engine budgets in its own way (``EngineSpec.memory_budget``):

- total-fraction (vLLM): ``gpu_memory_utilization`` of the visible memory holds weights, activations,
  context and KV pool; CUDA graphs lie inside or outside it by version;
- static-fraction (SGLang): ``mem_fraction_static`` of what is free before loading holds weights and
  KV pool; activations and graphs live in the rest;
- free-fraction (TensorRT-LLM): that fraction of what is left after loading and profiling is the pool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from planner.catalog.formats import KvFormat, WeightFormat
from planner.catalog.gpu import GpuSpec
from planner.deployment import Deployment
from planner.sizing.activations import activation_bytes
from planner.sizing.adapters import lora_bytes
from planner.sizing.admission import as_admitted
from planner.sizing.batch_limits import batch_limits, default_memory_fraction
from planner.sizing.cache.kv_cache import kv_layout
from planner.sizing.cache.layout import KvLayout
from planner.sizing.coefficients import MemoryCoefficients, memory_coefficients
from planner.sizing.drafts import draft_weight_bytes, with_draft
from planner.sizing.layout import MemoryLayout
from planner.sizing.legality import legal_reasons
from planner.sizing.sharding import rank_weight_bytes, rope_table_bytes
from planner.sizing.static_reserve import static_reserve_bytes
from planner.units import GIB

WIDE_TENSOR_PARALLEL = 4
SOME_WEIGHTS, SOME_CACHE = (
    WeightFormat("bf16", 16.0, "bf16", weight_only=False),
    KvFormat("bf16", 16.0),
)
GRAPH_SIZES = (1, 2, 4, *range(8, 257, 8), *range(272, 1025, 16))  # batches an engine captures


@dataclass(frozen=True, slots=True)
class Overheads:
    """What one GPU holds beside weights and KV [B]."""

    activations_bytes: float
    cuda_graphs_bytes: float
    context_bytes: float
    adapters_bytes: float

    @property
    def total_bytes(self) -> float:
        """Everything beside weights and KV pool [B]."""
        return (
            self.activations_bytes
            + self.cuda_graphs_bytes
            + self.context_bytes
            + self.adapters_bytes
        )


@lru_cache(maxsize=8192)
def memory_layout(deployment: Deployment) -> MemoryLayout:
    """Partition the memory of the deployment's fullest GPU: the stage whose pool holds fewest tokens.

    The parts sum to the CUDA-visible memory. A layout that cannot be, or does not fit, has
    ``fits=False`` and reasons with the numbers; where nothing is left for a pool, or the layout cannot
    be launched, the pool is 0 and ``outside_budget_bytes`` is the rest of the GPU, negative when even
    the whole GPU is too small.
    Raises CatalogError when the engine has no memory coefficients.
    """
    stages = range(max(1, min(deployment.pipeline_parallel, len(deployment.model.layers))))
    layouts = [stage_memory(deployment, stage) for stage in stages]
    return min(layouts, key=lambda layout: (layout.fits, layout.kv_pool_tokens))


def stage_memory(deployment: Deployment, stage: int) -> MemoryLayout:
    """Partition the memory of one GPU of a pipeline stage; see ``memory_layout``."""
    overheads = overheads_of(deployment, memory_coefficients(deployment.engine))
    weights = rank_weight_bytes(deployment, stage) + draft_weight_bytes(deployment)
    kv = as_admitted(deployment, with_draft(deployment, kv_layout(deployment, stage)))
    pool, shortfalls = _pool(deployment, weights, overheads)
    impossible = (*legal_reasons(deployment), *shortfalls)
    pool = 0.0 if impossible else pool
    reasons = (*impossible, *_one_request(deployment, kv, pool))
    total = deployment.gpu.visible_bytes
    return MemoryLayout(
        weights_bytes=weights,
        kv_pool_bytes=pool,
        activations_bytes=overheads.activations_bytes,
        cuda_graphs_bytes=overheads.cuda_graphs_bytes,
        context_bytes=overheads.context_bytes,
        adapters_bytes=overheads.adapters_bytes,
        outside_budget_bytes=total - weights - pool - overheads.total_bytes,
        total_bytes=total,
        kv=kv,
        kv_ranks=deployment.data_parallel,
        kv_pool_tokens=_pool_tokens(kv, pool) * deployment.data_parallel,
        fits=not reasons,
        reasons=reasons,
    )


def overheads_of(deployment: Deployment, coefficients: MemoryCoefficients) -> Overheads:
    """Return activations, graphs, context, rotary tables and adapters of one GPU.

    Without adapters they are the same in every weight format and KV cache, and found once for all.
    """
    if deployment.settings.lora_adapters:
        return _overheads(deployment, coefficients)
    any_format = replace(deployment, weights=SOME_WEIGHTS, kv_cache=SOME_CACHE)
    return _overheads_once(any_format, coefficients)


@lru_cache(maxsize=2048)
def _overheads_once(deployment: Deployment, coefficients: MemoryCoefficients) -> Overheads:
    return _overheads(deployment, coefficients)


def _overheads(deployment: Deployment, coefficients: MemoryCoefficients) -> Overheads:
    sequences = batch_limits(deployment).rank_sequences
    most = sequences if deployment.engine.graphs_within_sequences else 2 * sequences
    largest = min(most, graphs_max_batch(deployment, coefficients))
    every = range(
        1, int(coefficients.graphs_every_size_to) + 1
    )  # no batch is padded to a larger one
    captured = {*every, 64, 128} if every else GRAPH_SIZES
    sizes = sum(size <= largest for size in captured)
    doublings = math.log2(max(1, deployment.tensor_parallel))
    graphs = (
        coefficients.graphs_base_gib
        + coefficients.graphs_gib_per_size * sizes
        + coefficients.graphs_gib_per_tp_doubling * doublings
    )
    context = context_gib(deployment.gpu, deployment.gpus, coefficients)
    return Overheads(
        activations_bytes=activation_bytes(deployment, coefficients),
        cuda_graphs_bytes=graphs * GIB,
        context_bytes=context * GIB,
        adapters_bytes=rope_table_bytes(deployment.model) + lora_bytes(deployment),
    )


def graphs_max_batch(deployment: Deployment, coefficients: MemoryCoefficients) -> int:
    """The largest batch the engine captures as a CUDA graph on this GPU [sequences]."""
    if deployment.settings.graphs_max_batch:
        return deployment.settings.graphs_max_batch
    limits = deployment.engine.limits_on(deployment.gpu)
    found = dict(deployment.engine.graphs_max_batch_of).get(deployment.model.architecture)
    if found is not None:
        return found
    if limits is not None:
        wide = deployment.tensor_parallel >= WIDE_TENSOR_PARALLEL
        found = limits.graphs_max_batch_tp4 if wide else limits.graphs_max_batch
    return found or int(coefficients.graphs_max_batch)


def context_gib(gpu: GpuSpec, gpus: int, coefficients: MemoryCoefficients) -> float:
    """CUDA context and libraries on one GPU, and the buffers ``gpus`` of a replica talk through [GiB]."""
    if gpus == 1:
        return coefficients.context_gib
    bridged_apart = gpu.link_topology == "pair" and gpus > gpu.link_domain
    if gpu.link_topology == "none" or bridged_apart:
        collectives = coefficients.collectives_gib_unlinked
    elif gpus >= 8:
        collectives = coefficients.collectives_gib_tp8
    elif gpus >= 4:
        collectives = coefficients.collectives_gib_tp4
    else:
        collectives = coefficients.collectives_gib_tp2
    return coefficients.context_gib + collectives


def memory_fraction(deployment: Deployment) -> float:
    """The fraction the engine's budget uses: the setting, else the engine's default on this GPU.

    SGLang's own choice is ``1 - reserve / total`` (server_args.py, "mem_fraction_static"), with the
    reserve of ``planner.sizing.static_reserve``.
    """
    if deployment.settings.memory_fraction is not None:
        return deployment.settings.memory_fraction
    c = memory_coefficients(deployment.engine)
    if not c.reserve_base_mib:
        return _within_what_is_free(deployment, default_memory_fraction(deployment))
    reserve = static_reserve_bytes(deployment, c, graphs_max_batch(deployment, c))
    return round(1 - reserve / deployment.gpu.driver_bytes, 3)


def _within_what_is_free(deployment: Deployment, fraction: float) -> float:
    """The engine's default, or whole hundredths of what others leave free where that is less.

    A fraction of the whole memory beyond what is free at start stops the engine (vLLM); one of what is
    free does not.
    """
    gpu = deployment.gpu
    if not gpu.reserved_gib or deployment.engine.memory_budget != "total-fraction":
        return fraction
    return min(fraction, max(0.0, math.floor(100 * gpu.free_bytes / gpu.visible_bytes) / 100))


def _pool(
    deployment: Deployment, weights: float, overheads: Overheads
) -> tuple[float, tuple[str, ...]]:
    """Return the KV pool [B] under the engine's budget, and why there is none."""
    visible = deployment.gpu.visible_bytes
    fraction = memory_fraction(deployment)
    graphs = overheads.cuda_graphs_bytes
    loaded = weights + overheads.adapters_bytes
    if deployment.engine.memory_budget == "static-fraction":
        free_before = deployment.gpu.free_bytes - overheads.context_bytes
        pool = fraction * free_before - loaded
        runtime = overheads.activations_bytes + graphs
        spare = free_before * (1 - fraction) - runtime
    elif deployment.engine.memory_budget == "free-fraction":
        free = deployment.gpu.free_bytes - weights - overheads.total_bytes
        pool = fraction * free
        spare = (1 - fraction) * free
    else:
        budget = fraction * visible
        inside = graphs if deployment.engine.graphs_inside_budget else 0.0
        pool = budget - loaded - overheads.activations_bytes - overheads.context_bytes - inside
        spare = visible - budget - (graphs - inside)
        if budget > deployment.gpu.free_bytes:
            return pool, (_occupied(deployment, fraction),)
    return pool, _shortfalls(deployment, weights, pool, spare)


def _occupied(deployment: Deployment, fraction: float) -> str:
    """Why an engine does not start where the system shares the device's memory."""
    gpu = deployment.gpu
    free, budget = gpu.free_bytes / GIB, fraction * gpu.cuda_visible_gib
    others = "other processes" if gpu.reserved_gib else "the system"
    most = int(100 * free / gpu.cuda_visible_gib) / 100
    if most <= 0:
        return (
            f"{others} hold {gpu.reserved_gib:.1f} GiB, and {gpu.name} has {gpu.cuda_visible_gib:.1f} GiB: "
            "nothing is free"
        )
    return (
        f"memory fraction {fraction:g} asks for {budget:.1f} GiB and about {free:.1f} GiB of the "
        f"{gpu.cuda_visible_gib:.1f} GiB that {gpu.name} shares with {others} are free at start: "
        f"set at most {most:g}"
    )


def _shortfalls(
    deployment: Deployment, weights: float, pool: float, spare: float
) -> tuple[str, ...]:
    total = deployment.gpu.visible_bytes
    if pool <= 0:
        adapters = lora_bytes(deployment) / GIB
        beside = f" and {adapters:.1f} GiB of LoRA adapters" if adapters else ""
        return (
            f"weights of {weights / GIB:.1f} GiB a GPU{beside} leave no KV cache: {-pool / GIB:.1f} GiB are "
            f"missing under the engine's budget of a {total / GIB:.1f} GiB {deployment.gpu.name}",
        )
    if spare < 0 and pool + spare <= 0:
        return (
            f"activations and CUDA graphs need {-spare / GIB:.1f} GiB more than the memory fraction "
            f"{memory_fraction(deployment):g} leaves",
        )
    return ()


def _one_request(deployment: Deployment, kv: KvLayout, pool: float) -> tuple[str, ...]:
    """An engine with a stated model length refuses to start when one such request cannot be held."""
    longest = deployment.settings.max_model_len_tokens
    if longest is None or pool <= 0:
        return ()
    needed = kv.reserved_for(longest)
    if needed <= pool:
        return ()
    return (
        f"one request of {longest:,} tokens needs {needed / GIB:.2f} GiB of KV cache a GPU; the pool "
        f"holds {pool / GIB:.2f} GiB",
    )


def _pool_tokens(kv: KvLayout, pool_bytes: float) -> float:
    """Tokens the pool holds when every layer that keeps tokens keeps them all."""
    per_token = kv.growing_bytes_per_token
    if not kv.window_blocks:  # windows in blocks of their own hold running sums beside tokens
        per_token += sum(window for _, window in kv.windows)
    if per_token <= 0:
        return 0.0
    return math.floor(pool_bytes / (per_token * kv.block_tokens)) * float(kv.block_tokens)
