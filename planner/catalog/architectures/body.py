"""What a family's parser returns, and the fields every family reads the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.catalog.architectures.blocks import Tensors, embedding, head, linear, norm
from planner.catalog.architectures.fields import LARGEST, ConfigFields
from planner.catalog.model import Layer

if TYPE_CHECKING:
    from planner.catalog.architectures.class_table import Head


@dataclass(frozen=True, slots=True)
class Body:
    """The shapes of a model, before its name and number formats are known."""

    hidden: int
    vocab: int
    tied: bool
    layers: tuple[Layer, ...]
    outer: Tensors
    mtp: Tensors = ()
    vision: Tensors = ()
    max_context_tokens: int = 0
    rope_values: int = 0
    note: str = ""
    head: Head = "lm"


Parser = Callable[[ConfigFields], Body]


def shared_layers(count: int, build: Callable[[int], Layer]) -> tuple[Layer, ...]:
    """``count`` layers in order; equal layers are one object, so that they compare at once."""
    seen: dict[Layer, Layer] = {}
    layers = (build(index) for index in range(count))
    return tuple(seen.setdefault(layer, layer) for layer in layers)


def outer_tensors(
    hidden: int,
    vocab: int,
    *,
    tied: bool,
    norm_bias: bool = False,
    head_bias: bool = False,
    final_norm: bool = True,
) -> Tensors:
    """Embedding, final norm and head."""
    return (
        embedding(vocab, hidden)
        + (norm("norm", hidden, bias=norm_bias) if final_norm else ())
        + head(vocab, hidden, tied=tied, bias=head_bias)
    )


def context_length(fields: ConfigFields) -> int:
    """The longest context the checkpoint is made for [tokens]; 0 when the file does not say.

    Where the file scales positions by YaRN, at least ``factor`` times the original ones: model cards add
    ``rope_scaling`` and leave ``max_position_embeddings`` as it is (vLLM ``_get_and_verify_max_len``).
    """
    stated = _positions(fields)
    return max(stated, _yarn_positions(fields, stated)) if stated else 0


def _positions(fields: ConfigFields) -> int:
    return fields.count(
        "max_position_embeddings", "model_max_length", "n_positions", "max_seq_len", default=0
    )


def _yarn_positions(fields: ConfigFields, stated: int) -> int:
    """``factor`` times the original positions where the file scales them by YaRN, else 0."""
    scaling = fields.section("rope_scaling") or fields.section("rope_parameters")
    if scaling is None or scaling.values.get("type", scaling.values.get("rope_type")) != "yarn":
        return 0
    original = scaling.count("original_max_position_embeddings", default=stated or 1)
    return int(original * scaling.number("factor", 1.0))


def rope_table_values(fields: ConfigFields, rotary_dim: int) -> int:
    """Cosines and sines for every position: positions times rotary width [values].

    YaRN tables cover ``factor`` times the original positions (vLLM ``rotary_embedding``).
    """
    stated = _positions(fields)
    positions = _yarn_positions(fields, stated) or stated
    share = fields.number("partial_rotary_factor", 1.0)
    return int(positions * rotary_dim * share)


def decoder_of(
    fields: ConfigFields,
    layers: tuple[Layer, ...],
    rotary_dim: int = 0,
    *,
    vocab: int | None = None,
    tied: bool = False,
    more: Tensors = (),
    mtp: Tensors = (),
    note: str = "",
) -> Body:
    """``layers`` between an embedding, and a final norm and head.

    ``rotary_dim``: the width of a head that positions rotate, 0 for none; ``vocab``: counted in place
    of the file's; ``tied``: the default of ``tie_word_embeddings``; ``more``: further tensors outside
    of layers.
    """
    hidden = fields.count("hidden_size")
    if vocab is None:
        vocab = fields.count("vocab_size")
    tied = fields.flag("tie_word_embeddings", tied)
    return Body(
        hidden=hidden,
        vocab=vocab,
        tied=tied,
        layers=layers,
        outer=outer_tensors(hidden, vocab, tied=tied) + more,
        mtp=mtp,
        max_context_tokens=context_length(fields),
        rope_values=rope_table_values(fields, rotary_dim) if rotary_dim else 0,
        note=note,
    )


def attention_shape(fields: ConfigFields, hidden: int) -> tuple[int, int, int]:
    """Heads, KV heads and head width, with the checks that hold for every family."""
    heads = fields.count("num_attention_heads", maximum=4096)
    kv_heads = fields.count("num_key_value_heads", default=heads, maximum=4096)
    fields.divides("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    if fields.has("head_dim"):
        return heads, kv_heads, fields.count("head_dim", maximum=16_384)
    fields.divides("num_attention_heads", heads, "hidden_size", hidden)
    return heads, kv_heads, hidden // heads


def attention_windows(fields: ConfigFields, layers: int, *, pattern: int = 0) -> list[int | None]:
    """The window of every layer [tokens], None = full attention.

    Read from ``layer_types`` where listed; else every ``pattern``-th layer is full and the others
    slide; else (``pattern`` 0) all layers slide when the file sets ``sliding_window``, unless
    ``use_sliding_window`` turns it off.
    """
    if not fields.has("sliding_window") or not fields.flag("use_sliding_window", True):
        return [None] * layers
    window = fields.count("sliding_window", minimum=0) or None
    if window is not None and window >= (context_length(fields) or LARGEST):
        window = None  # as long as the longest context: nothing ever leaves it
    types = fields.items("layer_types", layers)
    if types is not None:
        return [window if kind == "sliding_attention" else None for kind in types]
    if pattern:
        return [None if (index + 1) % pattern == 0 else window for index in range(layers)]
    return [window] * layers


def mtp_modules(
    count: int, layer: Tensors, hidden: int, vocab: int, *, own_vocab: bool = True
) -> Tensors:
    """Multi-token-prediction modules as checkpoints store them.

    DeepSeek-V3 report, section 2.2: two input norms, a 2h x h projection, one decoder layer, an
    output norm; with ``own_vocab`` each stores copies of embedding and head.
    """
    module = (
        norm("mtp.enorm", hidden)
        + norm("mtp.hnorm", hidden)
        + linear("mtp.eh_proj", "mtp", hidden, 2 * hidden, shard="replicated")
        + layer
        + norm("mtp.norm", hidden)
    )
    if own_vocab:
        module += embedding(vocab, hidden) + head(vocab, hidden, tied=False)
    return module * count
