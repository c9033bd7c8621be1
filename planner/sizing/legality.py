"""Which layouts an engine can launch at all: what tensor, pipeline and expert parallelism divide.

Heads and widths must divide by tensor parallelism, whole experts over expert ranks, and no rank may hold
a part of a scale's block. Sources: the assertions of vLLM's and SGLang's parallel layers and of their
quantised kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from planner.catalog.formats import WeightFormat
from planner.catalog.model import DenseMlp, ModelSpec, MoeMlp, SoftmaxAttention, Tensor
from planner.deployment import Deployment
from planner.sizing.precision import stored_format
from planner.sizing.sharding import Cut

ROW_PARALLEL = ("down_proj.weight", "o_proj.weight", "out_proj.weight", "o_b_proj.weight")


@lru_cache(maxsize=8192)
def legal_reasons(deployment: Deployment) -> tuple[str, ...]:
    """Why this layout cannot be launched; empty when it can."""
    model, tp = deployment.model, deployment.tensor_parallel
    inner, outer = deployment.expert_parallel, deployment.pipeline_parallel
    if min(tp, inner, outer, deployment.data_parallel) < 1:
        return ("parallel degrees start at 1",)
    reasons = []
    if deployment.pipeline_parallel > len(model.layers):
        reasons.append(
            f"pipeline parallel {deployment.pipeline_parallel} exceeds {len(model.layers)} layers"
        )
    reasons += _width_reasons(model, tp)
    reasons += _expert_reasons(deployment)
    reasons += _block_reasons(deployment)
    reasons += _offload_reasons(deployment)
    return tuple(dict.fromkeys(reasons))


def _offload_reasons(deployment: Deployment) -> Iterator[str]:
    settings, engine = deployment.settings, deployment.engine
    tiers = engine.kv_offload.tiers if engine.kv_offload else ()
    for tier, size in (("host", settings.offload_host_gb), ("disk", settings.offload_disk_gb)):
        if size and tier not in tiers:
            where = "host memory" if tier == "host" else "disk"
            yield f"{engine.name} {engine.version} keeps no KV cache in {where} by itself"
    if settings.offload_host_gb and not (settings.offload_gb_s or deployment.gpu.pcie_gb_s):
        yield f"no host link is known of {deployment.gpu.name}: give kv_offload.bandwidth_gb_s"


def _width_reasons(model: ModelSpec, tp: int) -> Iterator[str]:
    for layer in {id(layer): layer for layer in model.layers}.values():
        mixer, mlp = layer.mixer, layer.mlp
        if mixer is not None and mixer.heads % tp:
            yield f"{mixer.heads} attention heads do not divide by tensor parallel {tp}"
        if isinstance(mixer, SoftmaxAttention):
            low, high = sorted((mixer.kv_heads, tp))
            if high % low:
                yield f"{mixer.kv_heads} KV heads and tensor parallel {tp} do not divide"
        if isinstance(mlp, DenseMlp) and mlp.width % tp:
            yield f"feed-forward width {mlp.width} does not divide by tensor parallel {tp}"


def _expert_reasons(deployment: Deployment) -> Iterator[str]:
    ep = deployment.expert_parallel
    ranks = deployment.tensor_parallel * deployment.data_parallel
    widths = {(m.experts, m.width) for m in _mixtures(deployment.model)}
    if ep > 1 and not widths:
        yield "expert parallel needs a mixture of experts"
    if ranks % ep:
        yield f"expert parallel {ep} does not divide the {ranks} ranks of a stage"
        return
    for experts, width in widths:
        if ep > experts:
            yield f"expert parallel {ep} exceeds {experts} experts"
        if width % (ranks // ep):
            yield f"expert width {width} does not divide over {ranks // ep} ranks"


def _block_reasons(deployment: Deployment) -> Iterator[str]:
    """Block and group scales cannot be cut: the local width must hold whole ones."""
    cut, weights = Cut.of(deployment), deployment.weights
    ranks = max(1, cut.ranks // cut.expert)
    unit = _expert_unit(weights)
    for mixture in _mixtures(deployment.model):
        if ranks > 1 and (mixture.width // ranks) % unit:
            yield (
                f"expert width {mixture.width} over {ranks} ranks is not a multiple of "
                f"{weights.name}'s {unit}"
            )
    for layer in {id(layer): layer for layer in deployment.model.layers}.values():
        for tensor in layer.tensors:
            if tensor.shard in ("split", "kv"):
                yield from _cut_reasons(tensor, deployment.tensor_parallel, weights)


def _cut_reasons(tensor: Tensor, tp: int, weights: WeightFormat) -> Iterator[str]:
    """Why a dense matrix with block scales cannot be cut so; groups are padded by the quantiser."""
    stored = stored_format(tensor, weights)
    if stored is None or stored.block is None:
        return
    pieces = min(tp, tensor.parts) if tensor.parts else tp
    cut_by_cols = tensor.name.endswith(ROW_PARALLEL)
    size, unit = (tensor.cols, stored.block[1]) if cut_by_cols else (tensor.rows, stored.block[0])
    if pieces > 1 and (size // pieces) % unit:
        name = tensor.name.removesuffix(".weight")
        yield f"{name} of {size} over {pieces} ranks is not a multiple of {stored.name}'s {unit}"


def _mixtures(model: ModelSpec) -> list[MoeMlp]:
    found = {id(layer.mlp): layer.mlp for layer in model.layers if isinstance(layer.mlp, MoeMlp)}
    return list(dict.fromkeys(found.values()))


def _expert_unit(fmt: WeightFormat) -> int:
    """How many values of an expert's width share a scale, so that no rank may hold a part of them."""
    stored = stored_format(Tensor("expert", "expert", 1, 1), fmt)
    if stored is None or stored.bits >= 16 or stored.expert_padding != (1, 1):
        return 1
    return stored.block[1] if stored.block else max(stored.group, 1)
