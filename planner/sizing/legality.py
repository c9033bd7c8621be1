"""Which layouts an engine can launch at all: what tensor, pipeline and expert parallelism divide.

Heads and widths must divide by tensor parallelism, whole experts over expert ranks, and no rank may hold
a part of a scale's block. Sources: the assertions of vLLM's and SGLang's parallel layers and of their
quantised kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from planner.catalog.formats import WeightFormat
from planner.catalog.model import (
    DenseMlp,
    ModelSpec,
    MoeMlp,
    SoftmaxAttention,
    Tensor,
    distinct_layers,
)
from planner.deployment import Deployment
from planner.sizing.cache.decode_context import context_reasons
from planner.sizing.precision import stored_format

ROW_PARALLEL = ("down_proj.weight", "o_proj.weight", "out_proj.weight", "o_b_proj.weight")


@lru_cache(maxsize=8192)
def legal_reasons(deployment: Deployment) -> tuple[str, ...]:
    """Why this layout cannot be launched; empty when it can."""
    if min(deployment.degrees) < 1:
        return ("parallel degrees start at 1",)
    divided = _cut_reasons(deployment.model, deployment.weights, deployment.degrees)
    return tuple(
        dict.fromkeys((*divided, *_offload_reasons(deployment), *context_reasons(deployment)))
    )


@lru_cache(maxsize=2048)
def _cut_reasons(
    model: ModelSpec, weights: WeightFormat, degrees: tuple[int, int, int, int]
) -> tuple[str, ...]:
    """What the degrees (TP, PP, DP, EP) do not divide, on whichever GPU."""
    tp, pp, dp, ep = degrees
    reasons = []
    if pp > len(model.layers):
        reasons.append(f"pipeline parallel {pp} exceeds {len(model.layers)} layers")
    reasons += _width_reasons(model, tp)
    reasons += _expert_reasons(model, tp * dp, ep)
    reasons += _block_reasons(model, weights, tp, max(1, tp * dp // ep))
    return tuple(reasons)


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
    for layer in distinct_layers(model):
        mixer, mlp = layer.mixer, layer.mlp
        if mixer is not None and mixer.heads % tp:
            yield f"{mixer.heads} attention heads do not divide by tensor parallel {tp}"
        if isinstance(mixer, SoftmaxAttention):
            low, high = sorted((mixer.kv_heads, tp))
            if high % low:
                yield f"{mixer.kv_heads} KV heads and tensor parallel {tp} do not divide"
        if isinstance(mlp, DenseMlp) and mlp.width % tp:
            yield f"feed-forward width {mlp.width} does not divide by tensor parallel {tp}"


def _expert_reasons(model: ModelSpec, ranks: int, ep: int) -> Iterator[str]:
    widths = {(m.experts, m.width) for m in _mixtures(model)}
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


def _block_reasons(model: ModelSpec, weights: WeightFormat, tp: int, ranks: int) -> Iterator[str]:
    """Block and group scales cannot be cut: the local width must hold whole ones.

    ``ranks``: those that each expert is divided over.
    """
    unit = _expert_unit(weights)
    for mixture in _mixtures(model):
        if ranks > 1 and (mixture.width // ranks) % unit:
            yield (
                f"expert width {mixture.width} over {ranks} ranks is not a multiple of "
                f"{weights.name}'s {unit}"
            )
    for layer in distinct_layers(model):
        for tensor in layer.tensors:
            if tensor.shard in ("split", "kv"):
                yield from _matrix_reasons(tensor, tp, weights)


def _matrix_reasons(tensor: Tensor, tp: int, weights: WeightFormat) -> Iterator[str]:
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
    layers = distinct_layers(model)
    return list(dict.fromkeys(y.mlp for y in layers if isinstance(y.mlp, MoeMlp)))


def _expert_unit(fmt: WeightFormat) -> int:
    """How many values of an expert's width share a scale, so that no rank may hold a part of them."""
    stored = stored_format(Tensor("expert", "expert", 1, 1), fmt)
    if stored is None or stored.bits >= 16 or stored.expert_padding != (1, 1):
        return 1
    return stored.block[1] if stored.block else max(stored.group, 1)
