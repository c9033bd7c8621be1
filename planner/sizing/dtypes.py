"""The 16-bit type an engine runs on a GPU: float16 where the GPU has no bfloat16.

Engines refuse bfloat16 below compute capability 8.0 and load such a checkpoint as float16 by
themselves (vLLM ``ModelConfig`` dtype "auto"; SGLang ``ModelRunner``). Families that overflow in
float16 are held back by ``catalogs/support.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from planner.catalog.formats import KvFormat, WeightFormat
from planner.catalog.gpu import GpuSpec
from planner.deployment import Deployment

BFLOAT16, FLOAT16 = "bf16", "fp16"


def type_on(name: str, gpu: GpuSpec) -> str:
    """The number format an engine takes on ``gpu`` for one that is named ``name``."""
    return FLOAT16 if name == BFLOAT16 and not gpu.peak_flops(BFLOAT16) else name


def as_launched(
    deployment: Deployment,
    weight_format: Callable[[str], WeightFormat],
    kv_format: Callable[[str], KvFormat],
) -> Deployment:
    """The deployment with weights and KV cache in the 16-bit type its GPU has."""
    weights = type_on(deployment.weights.name, deployment.gpu)
    kv_cache = type_on(deployment.kv_cache.name, deployment.gpu)
    if (weights, kv_cache) == (deployment.weights.name, deployment.kv_cache.name):
        return deployment
    changed = weights != deployment.weights.name
    return replace(
        deployment,
        weights=weight_format(weights) if changed else deployment.weights,
        kv_cache=kv_format(kv_cache),
    )
