"""Step-3.5/3.7 and Laguna: attention with one output gate per head, sliding and full layers, experts.

Sources: the ``step3p7`` model class of Hugging Face transformers and the model repositories of
stepfun-ai and poolside.
"""

from __future__ import annotations

from planner.catalog.architectures.blocks import (
    Tensors,
    attention,
    layer_norms,
    linear,
    mlp,
    norm,
    vector,
)
from planner.catalog.architectures.body import (
    Body,
    Parser,
    attention_windows,
    decoder_of,
    shared_layers,
)
from planner.catalog.architectures.decoder import FeedForward
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.mixture import routed
from planner.catalog.model import DenseMlp, Layer, MoeMlp, SoftmaxAttention

STEP_TOKENS = 128_815
STEP_PADDED_TOKENS = 128_896


def _mixer(
    fields: ConfigFields, hidden: int, heads: int, window: int | None
) -> tuple[SoftmaxAttention, Tensors]:
    kv_heads = fields.count("num_key_value_heads", "num_attention_groups")
    head_dim = fields.count("head_dim")
    fields.divides("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    tensors = (
        attention(hidden, heads, kv_heads, head_dim)
        + linear("self_attn.g_proj", "gate", heads, hidden, parts=heads)
        + norm("self_attn.q_norm", head_dim)
        + norm("self_attn.k_norm", head_dim)
    )
    return SoftmaxAttention(heads, kv_heads, head_dim, head_dim, window), tensors


def _body(
    fields: ConfigFields,
    heads: list[int],
    dense_layers: set[int],
    sparse: FeedForward,
    vocab: int | None = None,
) -> Body:
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    width = fields.count("intermediate_size")
    windows = attention_windows(fields, count)
    dense: FeedForward = (DenseMlp(width), mlp(hidden, width))
    norms = layer_norms(hidden)

    def layer(index: int) -> Layer:
        mixer, tensors = _mixer(fields, hidden, heads[index], windows[index])
        block, block_tensors = dense if index in dense_layers else sparse
        return Layer(mixer, block, tensors + block_tensors + norms)

    return decoder_of(fields, shared_layers(count, layer), fields.count("head_dim"), vocab=vocab)


def step(fields: ConfigFields) -> Body:
    """Step-3.5 and Step-3.7 text decoder.

    The file's vocabulary is padded to a multiple of 128; the 128,815 tokens themselves are counted.
    """
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    vocab = fields.count("vocab_size")
    if vocab == STEP_PADDED_TOKENS:
        vocab = STEP_TOKENS
    full = fields.count("num_attention_heads")
    other = fields.section("attention_other_setting")
    sliding = other.count("num_attention_heads", default=full) if other else full
    kinds = fields.items("layer_types", count) or ["full_attention"] * count
    heads = [sliding if kind == "sliding_attention" else full for kind in kinds]
    first = fields.count("first_k_dense_replace", default=3, minimum=0)
    sparse = routed(
        fields,
        hidden,
        fields.count("moe_intermediate_size"),
        shared_width=fields.count("share_expert_dim", default=0, minimum=0),
    )
    return _body(fields, heads, set(range(first)), sparse, vocab)


def laguna(fields: ConfigFields) -> Body:
    """Laguna: its own number of query heads in every layer."""
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    listed = fields.items("num_attention_heads_per_layer", count)
    heads = [fields.count("num_attention_heads")] * count
    if listed is not None:
        for index, value in enumerate(listed):
            heads[index] = ConfigFields({"heads": value}, fields.where).count("heads")
    kinds = fields.items("mlp_layer_types", count)
    if kinds is not None:
        dense_layers = {index for index, kind in enumerate(kinds) if kind == "dense"}
    else:
        dense_layers = fields.indices("mlp_only_layers")
    block, tensors = routed(
        fields,
        hidden,
        fields.count("moe_intermediate_size"),
        shared_width=fields.count("shared_expert_intermediate_size", default=0, minimum=0),
    )
    assert isinstance(block, MoeMlp)
    tensors += vector("mlp.gate.e_score_correction_bias", "bias", block.experts)
    return _body(fields, heads, dense_layers, (block, tensors))


PARSERS: dict[str, Parser] = {
    "Step3p5ForCausalLM": step,
    "LagunaForCausalLM": laguna,
}
