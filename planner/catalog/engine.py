"""What a serving engine is: one row of ``catalogs/engines.yaml``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from planner.catalog.gpu import GpuSpec

AS_WRITTEN = ConfigDict(extra="forbid", allow_inf_nan=False)  # of values that are rows of the file


def _as_text(day: object) -> object:
    """A date as YAML reads it, as it was written."""
    return day.isoformat() if isinstance(day, date) else day


class Scheduler(StrEnum):
    """How an engine admits and mixes work (``planner.serving.simulation.schedulers`` simulates each)."""

    CHUNKED_PREFILL = "chunked-prefill"  # vLLM V1: mixed steps under a token budget, recompute
    PREFILL_FIRST = "prefill-first"  # SGLang: whole prefills before decode, retraction
    NO_EVICT = "no-evict"  # TensorRT-LLM: admission reserves the worst-case KV


@lru_cache(maxsize=1024)
def version_key(version: str) -> tuple[int, ...]:
    """Return the leading release numbers of ``version`` without trailing zeros, to compare by.

    "1.2.0rc2.post2" and "1.2" both give (1, 2); a name without numbers gives ().
    """
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    numbers = [int(part) for part in match.group(1).split(".")] if match else []
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Defaults an engine takes on one class of GPUs; None keeps the engine's general default.

    ``graphs_max_batch``: the largest batch captured as a CUDA graph, ``_tp4`` from four GPUs on;
    ``sampler_bytes_per_logit``: of the sampler's warm-up, where this class's kernels take another;
    ``reserve_base_mib``, ``reserve_mib_per_gpu``: as the memory coefficients of these names [MiB].
    """

    __pydantic_config__ = AS_WRITTEN

    min_visible_gib: Annotated[float, Field(ge=0)] = 0.0
    name_prefixes: tuple[str, ...] = ()
    except_prefixes: tuple[str, ...] = ()
    compute_capabilities: tuple[str, ...] = ()
    max_num_seqs: Annotated[int, Field(gt=0)] | None = None
    max_num_batched_tokens: Annotated[int, Field(gt=0)] | None = None
    memory_fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    graphs_max_batch: Annotated[int, Field(gt=0)] | None = None
    graphs_max_batch_tp4: Annotated[int, Field(gt=0)] | None = None
    sampler_bytes_per_logit: Annotated[float, Field(gt=0)] | None = None
    reserve_base_mib: Annotated[float, Field(gt=0)] | None = None
    reserve_mib_per_gpu: Annotated[float, Field(ge=0)] | None = None

    def covers(self, gpu: GpuSpec) -> bool:
        """Whether ``gpu`` belongs to this class."""
        return (
            gpu.cuda_visible_gib >= self.min_visible_gib
            and (not self.name_prefixes or gpu.name.startswith(self.name_prefixes))
            and not (self.except_prefixes and gpu.name.startswith(self.except_prefixes))
            and (
                not self.compute_capabilities or gpu.compute_capability in self.compute_capabilities
            )
        )


@dataclass(frozen=True, slots=True)
class KvOffloadSupport:
    """How an engine keeps KV blocks outside the GPU.

    tiers: "host", or "host" and "disk"; writes_through: whether blocks are copied as they are filled, so
    that the host holds what the GPU holds too, or only when the pool gives them up; per_rank: whether
    its option is the size of one rank or of the replica; option_bytes: the option's unit [B]; source and
    as_of: of the row.
    """

    __pydantic_config__ = AS_WRITTEN

    tiers: Annotated[tuple[Literal["host", "disk"], ...], Field(min_length=1)]
    writes_through: bool
    per_rank: bool
    option_bytes: Annotated[float, Field(gt=0)]
    source: Annotated[str, Field(min_length=1)]
    as_of: Annotated[str, BeforeValidator(_as_text)]


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine version with its defaults; ``planner.sizing.batch_limits`` resolves them for a layout.

    ``memory_budget``: "total-fraction" (vLLM: fraction of visible memory for everything),
    "static-fraction" (SGLang: weights + KV only), "free-fraction" (TensorRT-LLM: of what is free
    after load); ``memory_fraction`` is that fraction's default. ``graphs_inside_budget``: whether
    CUDA graphs count inside it. Memory coefficients (activations, graphs, context) are in
    ``catalogs/engines.yaml`` under ``memory`` and read by ``planner.sizing.memory``.
    ``mla_kv_padding_values``: an MLA cache row is padded to a multiple of that many values (0 = not).
    ``defaults_of``: the listed version whose defaults replace one that is not listed.
    ``hybrid_pages``: recurrent states live in pages of the attention cache, whose block grows to fit;
    ``caches_states``: prefix caching covers models with such layers unless it is turned off; else it is
    off for them unless it is turned on.
    ``fused_sampler_models``: architectures that are installed with FlashInfer, which samples fused.
    ``options_cover_ranks``: batch options are the whole replica's and each attention-DP rank takes its
    part, else every rank takes them whole. ``max_num_seqs_drafting``: the option's default under
    speculative decoding. ``max_num_seqs_of``: its default for some model architectures, and
    ``graphs_max_batch_of`` the largest captured batch. ``graphs_within_sequences``: no batch beyond the
    sequences that may run is captured, else up to twice as many.
    ``sequences_within_tokens``: a default of one batch limit stays within the
    other: no more sequences than tokens of a step, no more tokens than sequences of the model length.
    ``kv_offload``: how it keeps KV blocks outside the GPU, None where it does not. ``decode_context``:
    the kinds of attention whose contexts it divides over ranks.
    ``state_pool_ratio``: memory of recurrent states over that of the KV cache where the pool is split
    between them (0 = one pool for both); ``state_slots_per_sequence``: states a running sequence takes
    of such a pool while prefixes are cached. Hashing looks at name and version alone, so that an engine
    is a cheap key of a cache.
    """

    name: str
    version: str
    scheduler: Scheduler
    memory_budget: str
    memory_fraction: float
    max_num_seqs: int
    max_num_batched_tokens: int
    kv_block_tokens: int
    prefix_caching: bool
    graphs_inside_budget: bool
    start_up_s: float
    mla_kv_padding_values: int
    memory: tuple[tuple[str, float], ...]
    source: str
    as_of: str
    gpu_limits: tuple[EngineLimits, ...] = ()
    note: str = ""
    hybrid_pages: bool = False
    caches_states: bool = True
    fused_sampler_models: tuple[str, ...] = ()
    defaults_of: str = ""
    options_cover_ranks: bool = False
    max_num_seqs_drafting: int | None = None
    sequences_within_tokens: bool = False
    max_num_seqs_of: tuple[tuple[str, int], ...] = ()
    graphs_max_batch_of: tuple[tuple[str, int], ...] = ()
    graphs_within_sequences: bool = False
    state_pool_ratio: float = 0.0
    state_slots_per_sequence: int = 1
    kv_offload: KvOffloadSupport | None = None
    decode_context: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash((self.name, self.version))

    def limits_on(self, gpu: GpuSpec) -> EngineLimits | None:
        """Return the class of ``gpu``: the first that covers it."""
        return next((limits for limits in self.gpu_limits if limits.covers(gpu)), None)
