"""A model described in the scenario itself: ``model: {layers: 32, hidden: 4096, heads: 32, ...}``.

The shape is a decoder of the Llama kind: grouped-query or latent attention, gated feed-forwards or
routed experts, two norms a layer.

| key | meaning | default |
|---|---|---|
| layers, hidden, heads, vocab | counts and widths | required |
| intermediate | feed-forward width of dense layers | required without experts |
| kv_heads, head_dim | as in grouped-query attention | heads, hidden / heads |
| experts, experts_per_token, expert_width | routed experts | a dense model |
| shared_expert_width, dense_layers | always-on expert; leading dense layers | 0 |
| mla | {kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim, q_lora_rank} | no MLA |
| sliding_window, full_attention_every | window [tokens]; every n-th layer sees all | no window |
| tied_embeddings, attention_bias, qk_norm, gated_mlp | yes or no | no, no, no, yes |
| max_context, dtype, name | longest context [tokens]; bf16, fp16 or fp32; a label | 0, bf16, inline |
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.catalog.architectures.blocks import (
    Tensors,
    attention,
    experts,
    mlp,
    norm,
    shared_expert,
)
from planner.catalog.architectures.body import outer_tensors, shared_layers
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.latent.deepseek import latent_mixer
from planner.catalog.model import DenseMlp, Layer, Mixer, ModelSpec, MoeMlp, SoftmaxAttention
from planner.errors import InputError, nearest

REQUIRED = {"layers", "hidden", "heads", "vocab"}
ATTENTION = {"kv_heads", "head_dim", "mla", "sliding_window", "full_attention_every"}
FEED_FORWARD = {"intermediate", "experts", "experts_per_token", "expert_width"}
EXPERTS = {"shared_expert_width", "dense_layers"}
FLAGS = {"tied_embeddings", "attention_bias", "qk_norm", "gated_mlp"}
KEYS = REQUIRED | ATTENTION | FEED_FORWARD | EXPERTS | FLAGS | {"max_context", "dtype", "name"}
MLA_KEYS = {"kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "q_lora_rank"}
DTYPES = ("bf16", "fp16", "fp32")


def parse_inline(mapping: Mapping[str, object], where: str) -> ModelSpec:
    """Return the model a scenario describes; raises InputError naming the key that is wrong."""
    fields = ConfigFields(mapping, where, "model.")
    _refuse_unknown(fields, KEYS)
    hidden, vocab = fields.count("hidden"), fields.count("vocab")
    count = fields.layer_count("layers")
    dtype = fields.text("dtype", "bf16")
    if dtype not in DTYPES:
        raise fields.error("dtype", "is not known", dtype, ", ".join(DTYPES))
    norms = norm("input_layernorm", hidden) + norm("post_attention_layernorm", hidden)
    window = fields.count("sliding_window") if fields.has("sliding_window") else None
    every = fields.count("full_attention_every", default=0, minimum=0)
    dense_layers = fields.count("dense_layers", default=0, minimum=0, maximum=count)

    def layer(index: int) -> Layer:
        is_full = window is None or (every > 0 and (index + 1) % every == 0)
        mixer, tensors = _mixer(fields, hidden, None if is_full else window)
        block, block_tensors = _feed_forward(fields, hidden, index < dense_layers)
        return Layer(mixer, block, tensors + block_tensors + norms)

    tied = fields.flag("tied_embeddings")
    return ModelSpec(
        name=fields.text("name", "inline"),
        architecture="inline",
        hidden_size=hidden,
        vocab_size=vocab,
        tied_embeddings=tied,
        layers=shared_layers(count, layer),
        outer=outer_tensors(hidden, vocab, tied=tied),
        max_context_tokens=fields.count("max_context", default=0, minimum=0),
        dtype=dtype,
        native_weights=dtype,
        source=where,
    )


def _mixer(fields: ConfigFields, hidden: int, window: int | None) -> tuple[Mixer, Tensors]:
    heads = fields.count("heads", maximum=4096)
    section = fields.section("mla")
    if section is not None:
        _refuse_unknown(section, MLA_KEYS)
        values = {**section.values, "num_attention_heads": heads}
        return latent_mixer(ConfigFields(values, section.where, section.path), hidden)
    kv_heads = fields.count("kv_heads", default=heads, maximum=4096)
    fields.divides("kv_heads", kv_heads, "heads", heads)
    if not fields.has("head_dim"):
        fields.divides("heads", heads, "hidden", hidden)
    head_dim = fields.count("head_dim", default=hidden // heads or 1)
    bias = fields.flag("attention_bias")
    tensors = attention(hidden, heads, kv_heads, head_dim, qkv_bias=bias)
    if fields.flag("qk_norm"):
        tensors += norm("self_attn.q_norm", head_dim) + norm("self_attn.k_norm", head_dim)
    return SoftmaxAttention(heads, kv_heads, head_dim, head_dim, window), tensors


def _feed_forward(
    fields: ConfigFields, hidden: int, is_dense: bool
) -> tuple[DenseMlp | MoeMlp, Tensors]:
    total = fields.expert_count("experts", default=0)
    gated = fields.flag("gated_mlp", True)
    if total == 0 or is_dense:
        width = fields.count("intermediate")
        return DenseMlp(width, gated), mlp(hidden, width, gated=gated)
    block = MoeMlp(
        total,
        fields.count("experts_per_token", maximum=total),
        fields.count("expert_width"),
        fields.count("shared_expert_width", default=0, minimum=0),
        gated,
    )
    tensors = experts(hidden, block)
    return block, tensors + shared_expert(hidden, block.shared_width, gated=gated)


def _refuse_unknown(fields: ConfigFields, known: set[str]) -> None:
    for key in fields.values:
        if key not in known:
            raise InputError(
                f"unknown key {fields.path}{key}",
                where=fields.where,
                found=key,
                allowed=", ".join(sorted(known)),
                action=nearest(str(key), known),
            )
