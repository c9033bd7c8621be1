"""MiniMax-Text-01 and M1: lightning (linear) attention with full attention every few layers, experts.

Source: the ``minimax`` model class of Hugging Face transformers; lightning attention is
arXiv 2401.04658.
"""

from __future__ import annotations

from planner.catalog.architectures.blocks import Tensors, layer_norms, linear, norm
from planner.catalog.architectures.body import (
    Body,
    Parser,
    attention_shape,
    decoder_of,
    shared_layers,
)
from planner.catalog.architectures.decoder import Style, standard_mixer
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.mixture import routed
from planner.catalog.model import Layer, RecurrentMixer


def lightning_mixer(hidden: int, heads: int, head_dim: int) -> tuple[RecurrentMixer, Tensors]:
    """Linear attention with an output gate: a head_dim x head_dim state per head."""
    inner = heads * head_dim
    name = "self_attn"
    tensors = (
        linear(f"{name}.qkv_proj", "recurrent", 3 * inner, hidden, parts=heads)
        + linear(f"{name}.output_gate", "recurrent", inner, hidden, parts=heads)
        + linear(f"{name}.out_proj", "recurrent", hidden, inner, parts=heads)
        + norm(f"{name}.norm", inner, shard="split")
    )
    return RecurrentMixer("lightning", heads, inner * head_dim, 0), tensors


def decoder(fields: ConfigFields) -> Body:
    """A hybrid decoder whose layers are listed by kind (1 or "full_attention" sees all tokens)."""
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    heads, _, head_dim = attention_shape(fields, hidden)
    kinds = fields.items("layer_types", count) or fields.items("attn_type_list", count)
    if kinds is None:
        raise fields.error("layer_types", "is missing", None, "one kind per layer")
    block, block_tensors = routed(fields, hidden, fields.count("intermediate_size"))
    norms = layer_norms(hidden)
    mixed, own = lightning_mixer(hidden, heads, head_dim)

    def layer(index: int) -> Layer:
        if kinds[index] in (1, "full_attention"):
            attended, projections = standard_mixer(fields, Style(), hidden, None)
            return Layer(attended, block, projections + block_tensors + norms)
        return Layer(mixed, block, own + block_tensors + norms)

    return decoder_of(fields, shared_layers(count, layer), head_dim)


PARSERS: dict[str, Parser] = {
    "MiniMaxForCausalLM": decoder,
    "MiniMaxText01ForCausalLM": decoder,
    "MiniMaxM1ForCausalLM": decoder,
}
