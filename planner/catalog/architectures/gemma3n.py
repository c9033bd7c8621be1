"""Gemma 3n: per-layer embeddings, four residual streams mixed by small maps, low-rank side branches.

Source: the ``gemma3n`` model class of Hugging Face transformers.
"""

from __future__ import annotations

from planner.catalog.architectures.blocks import Tensors, attention, linear, mlp, norm, vector
from planner.catalog.architectures.body import (
    Body,
    Parser,
    attention_shape,
    attention_windows,
    context_length,
    outer_tensors,
    rope_table_values,
    shared_layers,
)
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.model import DenseMlp, Layer, SoftmaxAttention, Tensor


def _whole(name: str, rows: int, cols: int, klass: str = "gate") -> Tensors:
    return linear(name, klass, rows, cols, shard="replicated")


def _widths(fields: ConfigFields, count: int) -> list[int]:
    value = fields.values.get("intermediate_size")
    listed = fields.items("intermediate_size", count) if isinstance(value, list) else None
    if listed is None:
        return [fields.count("intermediate_size")] * count
    return [
        ConfigFields({"intermediate_size": width}, fields.where).count("intermediate_size")
        for width in listed
    ]


def decoder(fields: ConfigFields) -> Body:
    """A Gemma 3n text decoder."""
    hidden, vocab = fields.count("hidden_size"), fields.count("vocab_size")
    count = fields.layer_count()
    heads, kv_heads, head_dim = attention_shape(fields, hidden)
    windows = attention_windows(fields, count, pattern=5)
    widths = _widths(fields, count)
    shared = fields.count("num_kv_shared_layers", default=0, minimum=0, maximum=count)
    own = fields.count("hidden_size_per_layer_input")
    streams = fields.count("altup_num_inputs", maximum=64)
    rank = fields.count("laurel_rank")
    side: Tensors = (
        vector("altup.correct_output_scale", "norm", hidden)
        + _whole("altup.correction_coefs", streams, streams)
        + _whole("altup.prediction_coefs", streams**2, streams)
        + _whole("altup.modality_router", streams, hidden)
        + norm("altup.router_norm", hidden)
        + _whole("laurel.linear_left", rank, hidden, "mlp")
        + _whole("laurel.linear_right", hidden, rank, "mlp")
        + norm("laurel.post_laurel_norm", hidden)
        + _whole("per_layer_input_gate", own, hidden, "mlp")
        + _whole("per_layer_projection", hidden, own, "mlp")
        + norm("post_per_layer_input_norm", hidden)
    )
    for index in range(4):
        side += norm(f"layernorm_{index}", hidden)

    def layer(index: int) -> Layer:
        stores = index < count - shared
        tensors = attention(hidden, heads, kv_heads, head_dim, stores_kv=stores)
        tensors += norm("self_attn.q_norm", head_dim)
        if stores:
            tensors += norm("self_attn.k_norm", head_dim)
        mixer = SoftmaxAttention(heads, kv_heads, head_dim, head_dim, windows[index], not stores)
        width = widths[index]
        return Layer(mixer, DenseMlp(width), tensors + mlp(hidden, width) + side)

    tied = fields.flag("tie_word_embeddings", True)
    wide = count * own
    rows = fields.count("vocab_size_per_layer_input")
    outer = outer_tensors(hidden, vocab, tied=tied)
    outer += (Tensor("embed_tokens_per_layer.weight", "embedding", rows, wide, 1, "vocab"),)
    outer += _whole("per_layer_model_projection", wide, hidden, "mlp")
    outer += norm("per_layer_projection_norm", own)
    for index in range(2 * (streams - 1)):
        outer += _whole(f"altup_projections.{index}", hidden, hidden, "mlp")
    return Body(
        hidden=hidden,
        vocab=vocab,
        tied=tied,
        layers=shared_layers(count, layer),
        outer=outer,
        max_context_tokens=context_length(fields),
        rope_values=rope_table_values(fields, head_dim),
    )


PARSERS: dict[str, Parser] = {"Gemma3nForCausalLM": decoder}
