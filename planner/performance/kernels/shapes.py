"""The matrix products one GPU of a deployment runs in a step, by shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from planner.catalog.formats import WeightFormat
from planner.catalog.model import Layer, ModelSpec, Tensor, layer_counts
from planner.deployment import Deployment
from planner.performance.arithmetic import compute_precision, sixteen_bit
from planner.sizing.precision import format_family, stored_format
from planner.sizing.sharding import Cut, local_values

_NO_PRODUCT = frozenset({"embedding", "vision", "mtp", "norm", "bias", "conv", "expert", "head"})


@dataclass(frozen=True, slots=True)
class Product:
    """A product of one GPU: ``rows`` outputs of ``columns`` inputs a token, ``stored`` weights.

    klass: role of its weights ("attention", "mlp", ...); see ``catalog.model.Tensor``.
    """

    rows: int
    columns: int
    stored: WeightFormat | None
    klass: str


def products(deployment: Deployment) -> tuple[tuple[Layer, int, tuple[Product, ...]], ...]:
    """Each distinct layer, how often it occurs, and its dense products."""
    cut = Cut.of(deployment)
    whole = cut if cut.pipeline == 1 else replace(cut, pipeline=1)  # stages divide no product
    return _products(deployment.model, whole, deployment.weights)


@lru_cache(maxsize=512)
def _products(
    model: ModelSpec, cut: Cut, weights: WeightFormat
) -> tuple[tuple[Layer, int, tuple[Product, ...]], ...]:
    hidden = model.hidden_size
    return tuple(
        (layer, count, tuple(_of_layer(layer, hidden, cut, weights)))
        for layer, count in layer_counts(model)
    )


def _of_layer(layer: Layer, hidden: int, cut: Cut, weights: WeightFormat) -> list[Product]:
    """The dense products of one layer; tensors fused into one buffer are one product."""
    groups: dict[tuple[str, int], list[Tensor]] = {}
    for index, tensor in enumerate(layer.tensors):
        if tensor.klass not in _NO_PRODUCT and tensor.cols > 1:
            label = tensor.fused or str(index)
            groups.setdefault((label, tensor.cols), []).append(tensor)
    found = []
    for tensors in groups.values():
        first = tensors[0]
        stored = stored_format(first, weights)
        share = [local_values(tensor, cut) / tensor.values for tensor in tensors]
        rows = sum(t.rows * t.copies * part for t, part in zip(tensors, share, strict=True))
        columns = first.cols
        if first.rows == hidden and not first.fused:  # its input is what tensor parallelism divides
            rows, columns = first.rows * first.copies, round(first.cols * share[0])
        found.append(Product(max(round(rows), 1), max(columns, 1), stored, first.klass))
    return found


def head(deployment: Deployment) -> Product | None:
    """The product that turns a hidden state into logits; None where prompts are pooled."""
    if deployment.model.head != "lm":
        return None
    model, cut = deployment.model, Cut.of(deployment)
    tensor = model.head_tensors[0]
    rows = round(local_values(tensor, cut) / tensor.cols)
    return Product(rows, tensor.cols, stored_format(tensor, deployment.weights), tensor.klass)


def kernel_names(
    stored: WeightFormat | None, deployment: Deployment, routed: bool
) -> tuple[str, ...]:
    """Names that kernel tables give products of a stored format on this GPU, best first."""
    gpu = deployment.gpu
    if stored is None or stored.bits >= 16:
        return ("bfloat16",)
    family = format_family(stored.name)
    wide = compute_precision(stored, gpu) == sixteen_bit(gpu)
    if family == "fp8":
        if wide:
            return ()
        return ("fp8_block",) if stored.block else ("fp8", "fp8_block")
    if not routed:
        return {
            "nvfp4": () if wide else ("nvfp4",),
            "int8": ("sq",),
            "int4": ("int4_wo",),
        }.get(family, ())
    if family == "mxfp4":
        return ("w4a16_mxfp4",) if wide else ("w4a8_mxfp4_mxfp8", "w4a16_mxfp4")
    if family == "nvfp4":
        return ("int4_wo",) if wide else ("nvfp4",)
    return ("int4_wo",) if family == "int4" else ()
