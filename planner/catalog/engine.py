"""What a serving engine is: one row of ``catalogs/engines.yaml``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from planner.catalog.gpu import GpuSpec


class Scheduler(StrEnum):
    """How an engine admits and mixes work (``planner.serving.schedulers`` plays each)."""

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

    ``graphs_max_batch``: the largest batch captured as a CUDA graph, ``_tp4`` from four GPUs on.
    """

    min_visible_gib: float = 0.0
    name_prefixes: tuple[str, ...] = ()
    except_prefixes: tuple[str, ...] = ()
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    memory_fraction: float | None = None
    graphs_max_batch: int | None = None
    graphs_max_batch_tp4: int | None = None

    def covers(self, gpu: GpuSpec) -> bool:
        """Whether ``gpu`` belongs to this class."""
        return (
            gpu.cuda_visible_gib >= self.min_visible_gib
            and (not self.name_prefixes or gpu.name.startswith(self.name_prefixes))
            and not (self.except_prefixes and gpu.name.startswith(self.except_prefixes))
        )


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine version with its defaults; ``on(gpu)`` gives those of one GPU.

    ``memory_budget``: "total-fraction" (vLLM: fraction of visible memory for everything),
    "static-fraction" (SGLang: weights + KV only), "free-fraction" (TensorRT-LLM: of what is free
    after load); ``memory_fraction`` is that fraction's default. ``graphs_inside_budget``: whether
    CUDA graphs count inside it. Memory coefficients (activations, graphs, context) are in
    ``catalogs/engines.yaml`` under ``memory`` and read by ``planner.sizing.memory``.
    ``mla_kv_padding_values``: an MLA cache row is padded to a multiple of that many values (0 = not).
    ``hybrid_pages``: recurrent states live in pages of the attention cache, whose block grows to fit.
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

    def limits_on(self, gpu: GpuSpec) -> EngineLimits | None:
        """Return the class of ``gpu``: the first that covers it."""
        return next((limits for limits in self.gpu_limits if limits.covers(gpu)), None)

    def on(self, gpu: GpuSpec) -> EngineSpec:
        """Return this version with the defaults it takes on ``gpu``."""
        limits = self.limits_on(gpu)
        if limits is None:
            return self
        return replace(
            self,
            max_num_seqs=limits.max_num_seqs or self.max_num_seqs,
            max_num_batched_tokens=limits.max_num_batched_tokens or self.max_num_batched_tokens,
            memory_fraction=limits.memory_fraction or self.memory_fraction,
        )
