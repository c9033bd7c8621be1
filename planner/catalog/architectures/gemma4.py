"""Gemma 4: sliding and global layers of different head width, experts beside a dense feed-forward.

Source: Hugging Face transformers ``gemma4`` model classes.
"""

from __future__ import annotations

from planner.catalog.architectures.blocks import (
    Tensors,
    attention,
    experts,
    linear,
    mlp,
    norm,
    vector,
)
from planner.catalog.architectures.body import (
    Body,
    Parser,
    attention_windows,
    context_length,
    outer_tensors,
    rope_table_values,
    shared_layers,
)
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.model import DenseMlp, Layer, MoeMlp, SoftmaxAttention, Tensor


def _of_layer(fields: ConfigFields, index: int) -> ConfigFields:
    """The fields with what ``per_layer_config`` says of one layer."""
    own = fields.section("per_layer_config")
    own = own and (own.section(f"{index:02d}") or own.section(str(index)))
    return fields.override(own.values) if own else fields


def _mixer(
    fields: ConfigFields, hidden: int, window: int | None, shares_kv: bool
) -> tuple[SoftmaxAttention, Tensors]:
    heads = fields.count("num_attention_heads")
    kv_heads = fields.count("num_key_value_heads")
    head_dim = fields.count("head_dim")
    one_tensor = False
    if window is None:
        head_dim = fields.count("global_head_dim", default=head_dim)
        one_tensor = fields.flag("attention_k_eq_v")
        if one_tensor:
            kv_heads = fields.count("num_global_key_value_heads", default=kv_heads)
    fields.divides("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    tensors = attention(
        hidden,
        heads,
        kv_heads,
        head_dim,
        stores_kv=not shares_kv,
        keys_equal_values=one_tensor,
    )
    tensors += norm("self_attn.q_norm", head_dim)
    if not shares_kv:
        tensors += norm("self_attn.k_norm", head_dim)
    return SoftmaxAttention(heads, kv_heads, head_dim, head_dim, window, shares_kv), tensors


def _routed(fields: ConfigFields, hidden: int) -> tuple[MoeMlp, Tensors]:
    """Routed experts beside the dense block, the router's scales and three more norms."""
    block = MoeMlp(
        fields.expert_count("num_experts"),
        fields.count("top_k_experts"),
        fields.count("moe_intermediate_size"),
        shared_width=fields.count("intermediate_size"),
    )
    tensors = experts(hidden, block)
    tensors += vector("router.scale", "norm", hidden)
    tensors += vector("router.per_expert_scale", "norm", block.experts)
    for index in range(3):
        tensors += norm(f"expert_layernorm_{index}", hidden)
    return block, tensors


def decoder(fields: ConfigFields) -> Body:
    """A Gemma 4 text decoder."""
    hidden = fields.count("hidden_size")
    vocab = fields.count("vocab_size")
    count = fields.layer_count()
    width = fields.count("intermediate_size")
    windows = attention_windows(fields, count, pattern=6)
    shared = fields.count("num_kv_shared_layers", default=0, minimum=0, maximum=count)
    per_layer = fields.count("hidden_size_per_layer_input", default=0, minimum=0)
    double = fields.flag("use_double_wide_mlp")
    has_experts = fields.flag("enable_moe_block")

    def layer(index: int) -> Layer:
        shares_kv = index >= count - shared
        mixer, tensors = _mixer(_of_layer(fields, index), hidden, windows[index], shares_kv)
        own_width = 2 * width if double and shares_kv else width
        klass = "shared_expert" if has_experts else "mlp"
        tensors += mlp(hidden, own_width, klass=klass)
        block: DenseMlp | MoeMlp = DenseMlp(own_width)
        for norm_index in range(4):
            tensors += norm(f"layernorm_{norm_index}", hidden)
        if has_experts:
            block, extra = _routed(fields, hidden)
            tensors += extra
        if per_layer:
            tensors += linear("per_layer_input_gate", "mlp", per_layer, hidden, shard="replicated")
            tensors += linear("per_layer_projection", "mlp", hidden, per_layer, shard="replicated")
            tensors += norm("post_per_layer_input_norm", hidden)
        return Layer(mixer, block, tensors)

    outer = outer_tensors(hidden, vocab, tied=fields.flag("tie_word_embeddings", True))
    if per_layer:
        own_vocab = fields.count("vocab_size_per_layer_input", default=vocab)
        wide = count * per_layer
        table = Tensor("embed_tokens_per_layer.weight", "embedding", own_vocab, wide, 1, "vocab")
        outer += (table, *norm("per_layer_projection_norm", per_layer))
        outer += linear("per_layer_model_projection", "mlp", wide, hidden, shard="replicated")
    return Body(
        hidden=hidden,
        vocab=vocab,
        tied=fields.flag("tie_word_embeddings", True),
        layers=shared_layers(count, layer),
        outer=outer,
        max_context_tokens=context_length(fields),
        rope_values=rope_table_values(fields, fields.count("head_dim")),
    )


PARSERS: dict[str, Parser] = {"Gemma4ForCausalLM": decoder}
