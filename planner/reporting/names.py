"""What people read for a metric, a limit and a part of memory: each name once."""

from __future__ import annotations

from planner.scenario.slo import class_of
from planner.serving.capacity_limit import CapacityLimit, LimitedBy

METRICS = {"ttft": "TTFT", "tpot": "TPOT", "itl": "ITL", "e2e": "E2E"}
LIMITS = {
    CapacityLimit.THROUGHPUT: "saturation",
    CapacityLimit.KV_POOL: "KV pool",
    CapacityLimit.BATCH_SLOTS: "batch slots",
}
MEMORY_PARTS = {
    "weights": "Weights",
    "kv_pool": "KV cache pool",
    "activations": "Activations (peak)",
    "cuda_graphs": "CUDA graphs",
    "context": "Context and collectives",
    "adapters": "RoPE tables, adapters",
    "outside_budget": "Outside the engine's budget",
}
WHOLE_GPU = "CUDA-visible memory"


def metric_title(key: str) -> str:
    """``ttft_p99`` as people write it: ``TTFT p99``; of a request class ``chat: TTFT p99``."""
    metric, _, percentile = key.rpartition("/")[2].partition("_p")
    of = f"{class_of(key)}: " if class_of(key) else ""
    return f"{of}{METRICS.get(metric, metric)} p{percentile}"


def limit_title(limit: LimitedBy) -> str:
    """What stops a higher rate, in words."""
    if isinstance(limit, CapacityLimit):
        return LIMITS.get(limit, limit.value)
    return metric_title(limit)
