"""What one model takes, whole and on a GPU: the calculation behind ``planner memory``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from planner.catalog.engine import EngineSpec
from planner.catalog.engine_classes import listing_reasons
from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.catalog.support import check_support
from planner.deployment import Deployment, EngineSettings
from planner.errors import InputError
from planner.sizing.batch_limits import batch_limits, limits_within
from planner.sizing.cache.kv_cache import kv_bytes_per_token, kv_layout, state_bytes_per_sequence
from planner.sizing.cache.layout import KvLayout
from planner.sizing.dtypes import as_launched
from planner.sizing.layout import MemoryLayout
from planner.sizing.legality import legal_reasons
from planner.sizing.memory import memory_fraction, memory_layout
from planner.sizing.parameters import ParameterCount, count_parameters
from planner.sizing.precision import tensor_bytes, weight_bytes, weights_for

ENGINE_DEFAULTS = EngineSettings()
KV_FORMATS = ("bf16", "fp8", "int8", "nvfp4")

OTHER_LAYOUT = "change --tp, --pp, --dp or --ep"


@dataclass(frozen=True, slots=True)
class SizingLayout:
    """Where a model is to run: the GPU, the engine, the parallel degrees and its settings."""

    gpu: GpuSpec
    engine: str = "vllm"
    engine_version: str | None = None
    oldest_instead: bool = False
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    settings: EngineSettings = ENGINE_DEFAULTS


@dataclass(frozen=True, slots=True)
class ModelMemory:
    """A model's size, and its memory on one GPU when a layout was given.

    kv_bytes_per_token: per token over all layers by KV format [B], windows still growing;
    kv_growing_bytes_per_token: of the layers that keep every token, in the chosen format [B];
    state_bytes_per_sequence: constant state of recurrent layers [B]; weights_bytes: the language
    model in the chosen format [B]; vision_bytes: the tower's in 16 bits [B]; kv_needed_bytes: KV
    cache of ``concurrency`` sequences of ``context_tokens`` [B], on one rank when there is a layout.
    ``refusals``: why the engine would not start this, whatever the memory.
    """

    model: ModelSpec
    parameters: ParameterCount
    weights: str
    kv_cache: str
    weights_bytes: float
    vision_bytes: float
    kv_bytes_per_token: dict[str, float]
    kv_growing_bytes_per_token: float
    state_bytes_per_sequence: float
    context_tokens: int
    concurrency: int
    kv_needed_bytes: float
    deployment: Deployment | None
    layout: MemoryLayout | None
    memory_fraction: float | None
    warnings: tuple[str, ...]
    refusals: tuple[str, ...] = ()

    @property
    def beyond_context(self) -> str:
        """That the asked context exceeds the model's own; "" where it does not."""
        limit = self.model.max_context_tokens
        if not limit or self.context_tokens <= limit:
            return ""
        return f"the model takes {limit:,} tokens, not {self.context_tokens:,}"

    @property
    def serves(self) -> bool | None:
        """Whether an engine starts it and takes and holds what was asked; None without a layout."""
        if self.holds is None:
            return None
        return self.holds and not self.refusals and not self.beyond_context

    @property
    def holds(self) -> bool | None:
        """Whether the pool holds the requested context and concurrency; None without a layout."""
        if self.layout is None:
            return None
        per_rank = math.ceil(self.concurrency / self.layout.kv_ranks)
        reserved = per_rank * self.layout.reserved_bytes(self.context_tokens)
        return self.layout.fits and reserved <= self.layout.kv_pool_bytes

    @property
    def longest_context_tokens(self) -> int | None:
        """The longest one sequence can get alone, within the model's own limit [tokens]."""
        if self.layout is None:
            return None
        longest = self.layout.longest_sequence_tokens()
        limit = self.model.max_context_tokens or math.inf
        return int(min(longest, limit)) if math.isfinite(min(longest, limit)) else None

    @property
    def max_sequences(self) -> int | None:
        """How many sequences of ``context_tokens`` fit at once; None where they take no cache."""
        if self.layout is None or not self.layout.kv.reserved_for(self.context_tokens):
            return None
        return self.layout.max_sequences(self.context_tokens)

    @property
    def sequences_held(self) -> float | None:
        """The pool over what one request of ``context_tokens`` reserves, as engines print it."""
        if self.layout is None or not self.layout.kv.reserved_for(self.context_tokens):
            return None
        return self.layout.concurrency(self.context_tokens)


def model_memory(
    catalog: Catalog,
    model: ModelSpec,
    *,
    weights: str = "native",
    kv_cache: str = "bf16",
    layout: SizingLayout | None = None,
    context_tokens: int = 4096,
    concurrency: int = 1,
) -> ModelMemory:
    """Size a model in a weight and KV format, and on a GPU when a ``layout`` is given.

    Raises InputError for unknown formats or engines, lengths that cannot be, and layouts that are
    not legal (a tensor-parallel degree that does not divide the heads).
    """
    check_size("context", context_tokens, 100_000_000)
    check_size("concurrency", concurrency, 10_000_000)
    weight_format = weights_for(model, weights, catalog.weight_format)
    kv_format = catalog.kv_format(kv_cache)
    deployment = None
    memory = None
    whole = _whole(catalog, model, kv_cache)
    if layout is not None:
        deployment = deployment_of(catalog, model, weights, kv_cache, layout)
        memory = memory_layout(deployment)
        per_rank = math.ceil(concurrency / layout.data_parallel)
        needed_bytes = per_rank * float(memory.kv.bytes_for(context_tokens))
    else:
        needed_bytes = concurrency * float(whole.bytes_for(context_tokens))
    formats = {name: catalog.kv_format(name) for name in KV_FORMATS}
    return ModelMemory(
        model=model,
        parameters=count_parameters(model),
        weights=weight_format.name,
        kv_cache=kv_format.name,
        weights_bytes=weight_bytes(model, weight_format),
        vision_bytes=sum(tensor_bytes(t, weight_format) for t in model.vision),
        kv_bytes_per_token={n: kv_bytes_per_token(model, f) for n, f in formats.items()},
        kv_growing_bytes_per_token=whole.growing_bytes_per_token,
        state_bytes_per_sequence=state_bytes_per_sequence(model),
        context_tokens=context_tokens,
        concurrency=concurrency,
        kv_needed_bytes=needed_bytes,
        deployment=deployment,
        layout=memory,
        memory_fraction=None if deployment is None else memory_fraction(deployment),
        warnings=() if deployment is None else tuple(_warnings(deployment)),
        refusals=() if deployment is None else _refusals(catalog, deployment),
    )


def deployment_of(
    catalog: Catalog, model: ModelSpec, weights: str, kv_cache: str, layout: SizingLayout
) -> Deployment:
    """Return the deployment of a layout; raises InputError when it cannot be launched."""
    named = Deployment(
        model=model,
        gpu=layout.gpu,
        engine=_engine(catalog, model, layout),
        tensor_parallel=layout.tensor_parallel,
        weights=weights_for(model, weights, catalog.weight_format),
        kv_cache=catalog.kv_format(kv_cache),
        pipeline_parallel=layout.pipeline_parallel,
        data_parallel=layout.data_parallel,
        expert_parallel=layout.expert_parallel,
        settings=layout.settings,
    )
    deployment = as_launched(named, catalog.weight_format, catalog.kv_format)
    reasons = legal_reasons(deployment)
    if reasons:
        raise InputError(
            f"{deployment.label} cannot be launched with {model.name}: {reasons[0]}",
            found="; ".join(reasons[1:]) or None,
            action=OTHER_LAYOUT,
        )
    return deployment


def _engine(catalog: Catalog, model: ModelSpec, layout: SizingLayout) -> EngineSpec:
    """The version that was requested, else the default one that serves the model's class."""
    if layout.engine_version is None:
        return catalog.engine_serving(layout.engine, model.architecture)
    oldest = layout.oldest_instead
    return catalog.engine(layout.engine, layout.engine_version, oldest_instead=oldest)


def check_size(name: str, value: int, limit: int) -> None:
    """Raise InputError unless 1 <= ``value`` <= ``limit``."""
    if not 1 <= value <= limit:
        raise InputError(f"{name} is out of range", found=value, allowed=f"1 to {limit:,}")


def support_reasons(
    catalog: Catalog, deployment: Deployment, prefill_tensor_parallel: int | None = None
) -> tuple[str, ...]:
    """Why the support rules hold this deployment back; empty when none does.

    ``prefill_tensor_parallel``: of a pool that prefills for it.
    """
    listing = listing_reasons(
        catalog.engine_classes(), deployment.engine, deployment.model.architecture
    )
    return listing + check_support(
        catalog.support_rules_on(deployment.engine, deployment.gpu, deployment.model),
        engine=deployment.engine,
        model=deployment.model,
        weights=deployment.weights,
        kv_cache=deployment.kv_cache,
        gpu=deployment.gpu,
        tensor_parallel=deployment.tensor_parallel,
        data_parallel=deployment.data_parallel,
        expert_parallel=deployment.expert_parallel,
        prefill_tensor_parallel=prefill_tensor_parallel,
        lora=deployment.settings.lora_adapters > 0,
        priorities=deployment.settings.priority_scheduling,
    )


def _whole(catalog: Catalog, model: ModelSpec, kv_cache: str) -> KvLayout:
    """What one sequence keeps of the whole model, token by token (no engine, no blocks)."""
    anywhere = SizingLayout(gpu=catalog.gpus()[0])
    paged = kv_layout(
        Deployment(
            model=model,
            gpu=anywhere.gpu,
            engine=replace(catalog.engine(anywhere.engine), hybrid_pages=False),
            tensor_parallel=1,
            weights=catalog.weight_format("bf16"),
            kv_cache=catalog.kv_format(kv_cache),
        )
    )
    states = state_bytes_per_sequence(model)
    return replace(paged, block_tokens=1, state_bytes_per_sequence=states)


def _refusals(catalog: Catalog, deployment: Deployment) -> tuple[str, ...]:
    engine = f"{deployment.engine.name} {deployment.engine.version}"
    reasons = support_reasons(catalog, deployment)
    return tuple(f"{engine} would not start: {reason}" for reason in reasons)


def _warnings(deployment: Deployment) -> list[str]:
    weights, gpu, engine = deployment.weights, deployment.gpu, deployment.engine
    found: list[str] = []
    if weights.bits < 16 and not weights.weight_only and not gpu.peak_flops(weights.compute):
        found.append(
            f"{gpu.name} has no {weights.compute.upper()} units: {weights.name} saves memory alone and "
            "computes in 16 bits"
        )
    if engine.defaults_of:
        found.append(
            f"{engine.name} {engine.version} is not listed: the defaults of {engine.defaults_of} are used"
        )
    if gpu.memory_evidence != "measured":
        found.append(f"the visible memory of {gpu.name} is assumed, not seen in a log")
    own, limits = batch_limits(deployment), limits_within(deployment, memory_layout(deployment))
    if limits.max_num_seqs < own.max_num_seqs:
        found.append(
            f"recurrent states bound the sequences at once: start {deployment.engine.name} with at most "
            f"{limits.max_num_seqs:,} instead of {own.max_num_seqs:,}"
        )
    if deployment.model.note:
        found.append(f"model: {deployment.model.note}")
    return found
