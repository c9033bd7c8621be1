"""What a serving engine is: one row of ``catalogs/engines.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scheduler(StrEnum):
    """How an engine admits and mixes work (``planner.serving.schedulers`` plays each)."""

    CHUNKED_PREFILL = "chunked-prefill"  # vLLM V1: mixed steps under a token budget, recompute
    PREFILL_FIRST = "prefill-first"  # SGLang: whole prefills before decode, retraction
    NO_EVICT = "no-evict"  # TensorRT-LLM: admission reserves the worst-case KV


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine version with its defaults.

    ``memory_budget``: "total-fraction" (vLLM: fraction of visible memory for everything),
    "static-fraction" (SGLang: weights + KV only), "free-fraction" (TensorRT-LLM: of what is free
    after load); ``memory_fraction`` is that fraction's default. ``graphs_inside_budget``: whether
    CUDA graphs count inside it. Memory coefficients (activations, graphs, context) are in
    ``catalogs/engines.yaml`` under ``memory`` and read by ``planner.sizing.memory``.
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
