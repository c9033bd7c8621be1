"""Qwen3-Next, Qwen3.5 and Qwen3.6: gated delta-rule layers, every n-th layer full attention.

Source: Hugging Face transformers ``qwen3_next`` and ``qwen3_5`` model classes; the gated delta rule is
arXiv 2412.06464.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

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
    attention_shape,
    decoder_of,
    shared_layers,
)
from planner.catalog.architectures.decoder import FeedForward
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.mixture import routed
from planner.catalog.model import DenseMlp, Layer, Mixer, RecurrentMixer, SoftmaxAttention


def delta_mixer(fields: ConfigFields, hidden: int) -> tuple[RecurrentMixer, Tensors]:
    """A gated delta-rule mixer: one key-by-value matrix of state per value head."""
    key_heads = fields.count("linear_num_key_heads")
    value_heads = fields.count("linear_num_value_heads")
    key_dim = fields.count("linear_key_head_dim")
    value_dim = fields.count("linear_value_head_dim")
    kernel = fields.count("linear_conv_kernel_dim")
    keys, values = key_heads * key_dim, value_heads * value_dim
    channels = 2 * keys + values
    name, fused = "linear_attn", "linear_attn.in"
    tensors = (
        linear(f"{name}.in_proj_qkv", "recurrent", channels, hidden, parts=key_heads, fused=fused)
        + linear(f"{name}.in_proj_z", "recurrent", values, hidden, parts=value_heads, fused=fused)
        + linear(f"{name}.in_proj_ba", "gate", 2 * value_heads, hidden, parts=value_heads)
        + linear(f"{name}.conv1d", "conv", channels, kernel, parts=key_heads)
        + vector(f"{name}.A_log", "conv", value_heads, shard="split")
        + vector(f"{name}.dt_bias", "conv", value_heads, shard="split")
        + norm(f"{name}.norm", value_dim)
        + linear(f"{name}.out_proj", "recurrent", hidden, values, parts=value_heads)
    )
    state_bytes = 4 if fields.text("mamba_ssm_dtype") == "float32" else 2
    mixer = RecurrentMixer(
        kind="gated-delta",
        heads=value_heads,
        state_values=value_heads * key_dim * value_dim,
        conv_values=channels * (kernel - 1),
        state_bytes_per_value=state_bytes,
    )
    return mixer, tensors


def full_mixer(fields: ConfigFields, hidden: int) -> tuple[SoftmaxAttention, Tensors]:
    """Attention whose output is gated by a second half of the query projection."""
    heads, kv_heads, head_dim = attention_shape(fields, hidden)
    bias = fields.flag("attention_bias")
    gate = fields.flag("attn_output_gate", True)
    tensors = attention(
        hidden, heads, kv_heads, head_dim, qkv_bias=bias, out_bias=bias, output_gate=gate
    )
    tensors += norm("self_attn.q_norm", head_dim) + norm("self_attn.k_norm", head_dim)
    return SoftmaxAttention(heads, kv_heads, head_dim, head_dim), tensors


def hybrid_decoder(fields: ConfigFields, *, moe: bool) -> Body:
    """A hybrid of gated delta and full attention layers, dense or with routed experts."""
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    interval = fields.count("full_attention_interval", default=4)
    kinds = fields.items("layer_types", count) or [
        "linear_attention" if (index + 1) % interval else "full_attention" for index in range(count)
    ]
    if moe:
        block: FeedForward = routed(
            fields,
            hidden,
            fields.count("moe_intermediate_size"),
            shared_width=fields.count("shared_expert_intermediate_size", default=0, minimum=0),
            shared_gate=True,
        )
    else:
        width = fields.count("intermediate_size")
        block = (DenseMlp(width), mlp(hidden, width))
    norms = layer_norms(hidden)

    def layer(kind: str) -> Layer:
        linear_kind = kind == "linear_attention"
        mixer: Mixer
        mixer, tensors = delta_mixer(fields, hidden) if linear_kind else full_mixer(fields, hidden)
        return Layer(mixer, block[0], tensors + block[1] + norms)

    head_dim = attention_shape(fields, hidden)[2]
    modules = fields.count(
        "mtp_num_hidden_layers", "num_nextn_predict_layers", default=0, minimum=0, maximum=64
    )
    mtp: Tensors = ()
    if modules:
        mtp = layer("full_attention").tensors * modules
        mtp += linear("mtp.fc", "mtp", hidden, 2 * hidden, shard="replicated")
        mtp += norm("mtp.enorm", hidden) + norm("mtp.hnorm", hidden) + norm("mtp.norm", hidden)
    rotary = fields.section("rope_parameters")
    share = rotary.number("partial_rotary_factor", 1.0) if rotary else 1.0
    layers = shared_layers(count, lambda index: layer(str(kinds[index])))
    body = decoder_of(fields, layers, head_dim, mtp=mtp)
    return replace(body, rope_values=int(body.rope_values * share))


PARSERS: dict[str, Parser] = {
    "Qwen3NextForCausalLM": partial(hybrid_decoder, moe=True),
    "Qwen3_5ForCausalLM": partial(hybrid_decoder, moe=False),
    "Qwen3_5MoeForCausalLM": partial(hybrid_decoder, moe=True),
}
