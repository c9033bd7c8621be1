"""How many bytes a tensor takes in a weight format, and which tensors a format leaves alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from planner.catalog.formats import WeightFormat
from planner.catalog.model import ModelSpec, MoeMlp, Tensor
from planner.sizing.parameters import model_tensors

BYTES_16BIT = 2.0
BITS_16BIT = 16.0
LINEAR_CLASSES = frozenset({"attention", "mlp", "shared_expert", "recurrent", "indexer", "mtp"})
NEVER_QUANTISED = frozenset({"norm", "bias", "router", "conv", "gate"})


def stored_format(tensor: Tensor, fmt: WeightFormat) -> WeightFormat | None:
    """The format ``tensor`` is stored in under ``fmt``; None when it stays in 16 bits."""
    if fmt.bits >= 16:
        return fmt
    own = f"={tensor.stored}" if tensor.stored else tensor.klass
    for klass, other in fmt.overrides:
        if klass == own:
            return stored_format(tensor, other) if other.overrides else other
    if tensor.klass in NEVER_QUANTISED or tensor.klass in fmt.keeps:
        return None
    return fmt


def tensor_bytes(tensor: Tensor, fmt: WeightFormat) -> float:
    """Bytes [B] of a tensor with its scales and zero points.

    ``values * bits / 8 + scales * (scale_bits + zero_bits) / 8``; one scale per block of rows and
    columns, per ``group`` columns of a row, per row (``group`` -1) or per matrix (``group`` 0).
    Classes the format keeps stay in 16 bits.
    """
    stored = stored_format(tensor, fmt)
    if stored is None:
        return tensor.values * BYTES_16BIT
    if stored.bits >= 16:
        return tensor.values * stored.bits / 8
    scales = _scales(tensor, stored) * tensor.copies
    return (tensor.values * stored.bits + scales * (stored.scale_bits + stored.zero_bits)) / 8


def _scales(tensor: Tensor, fmt: WeightFormat) -> int:
    if fmt.block is not None:
        rows, cols = fmt.block
        return math.ceil(tensor.rows / rows) * math.ceil(tensor.cols / cols)
    if fmt.group > 0:
        return tensor.rows * math.ceil(tensor.cols / fmt.group)
    return tensor.rows if fmt.group < 0 else 1


@lru_cache(maxsize=2048)
def weight_bytes(model: ModelSpec, fmt: WeightFormat) -> float:
    """Bytes [B] of the language model's weights, without MTP modules and vision tower."""
    return sum(tensor_bytes(tensor, fmt) for tensor in model_tensors(model))


def format_family(name: str) -> str:
    """What a person calls a concrete format: "fp8_block" and "fp8_tensor" are both "fp8"."""
    return name.split("_", 1)[0]


def is_below_native(
    model: ModelSpec, fmt: WeightFormat, lookup: Callable[[str], WeightFormat]
) -> bool:
    """Whether ``fmt`` loses precision that the model's checkpoint holds, in any class of its tensors.

    A class loses where it is stored in fewer bits, or in another quantised format of as many: weights
    quantised twice (MXFP4 to INT4) are not the checkpoint's. Formats of one family count as equal.
    """
    native = _native(model, lookup)
    if format_family(fmt.name) == format_family(native.name):
        return False
    return any(_loses(klass, fmt, native) for klass in _classes(model))


@lru_cache(maxsize=512)
def _classes(model: ModelSpec) -> frozenset[str]:
    """The classes of the language model's tensors."""
    return frozenset(tensor.klass for tensor in model_tensors(model))


def _loses(klass: str, fmt: WeightFormat, native: WeightFormat) -> bool:
    tensor = Tensor("any", klass, 1, 1)
    stored, held = stored_format(tensor, fmt), stored_format(tensor, native)
    bits = stored.bits if stored else BITS_16BIT
    own = held.bits if held else BITS_16BIT
    if bits != own or stored is None or held is None:
        return bits < own
    return bits < BITS_16BIT and format_family(stored.name) != format_family(held.name)


def weights_for(model: ModelSpec, name: str, lookup: Callable[[str], WeightFormat]) -> WeightFormat:
    """The concrete format that ``name`` means for this model.

    "native" is the checkpoint's own; a friendly name (bf16, fp8, int4, nvfp4, ...) means the
    checkpoint's own variant when it is of that family (block FP8 for a block-FP8 checkpoint), with
    the classes that checkpoint leaves in another format; else the catalog's row of that name.
    """
    if name != "native" and not _is_own(model, name, lookup(name)):
        return _for_dense(model, lookup(name))
    return _native(model, lookup)


def _is_own(model: ModelSpec, name: str, requested: WeightFormat) -> bool:
    """Whether ``name`` speaks of the checkpoint's own format."""
    native = format_family(model.native_weights)
    if name == "fp4":
        return native in ("nvfp4", "mxfp4")
    exact = "_" in requested.name and requested.name != model.native_weights
    return not exact and format_family(requested.name) == native


def _for_dense(model: ModelSpec, fmt: WeightFormat) -> WeightFormat:
    """A format made for experts alone quantises the other matrices of a model without any."""
    if any(isinstance(layer.mlp, MoeMlp) for layer in model.layers):
        return fmt
    return replace(fmt, keeps=fmt.keeps - LINEAR_CLASSES)


def _native(model: ModelSpec, lookup: Callable[[str], WeightFormat]) -> WeightFormat:
    """The checkpoint's format; the file itself says what it leaves out, not the format's row."""
    base = lookup(model.native_weights)
    if base.bits >= 16:
        return base
    keeps = set(base.keeps - LINEAR_CLASSES)
    overrides: list[tuple[str, WeightFormat]] = []
    for klass, name in model.native_classes:
        keeps.discard(klass)
        if klass.startswith("="):
            overrides.append((klass, lookup(name)))
        elif name in ("bf16", "fp16"):
            keeps.add(klass)
        elif name != base.name:
            overrides.append((klass, lookup(name)))
    return replace(base, keeps=frozenset(keeps), overrides=tuple(overrides))
