"""Kimi-Linear, Kimi-K3 and GLM-5.3-Flash: Kimi delta attention with latent attention every few layers.

Sources: arXiv 2510.26692 (Kimi Linear) and its model class in Hugging Face transformers; the tensor
names and shapes of the Kimi-K3 and GLM-5.3-Flash checkpoints as loaders of them list.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from planner.catalog.architectures.blocks import (
    Tensors,
    experts,
    layer_norms,
    linear,
    mlp,
    norm,
    shared_expert,
    vector,
)
from planner.catalog.architectures.body import Body, Parser, decoder_of, mtp_modules, shared_layers
from planner.catalog.architectures.decoder import FeedForward
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.latent.deepseek import latent_mixer
from planner.catalog.architectures.latent.deepseek_v4 import hyper_connection
from planner.catalog.model import DenseMlp, Layer, Mixer, MoeMlp, RecurrentMixer


def delta_attention(
    hidden: int, heads: int, head_dim: int, kernel: int, *, full_rank_gate: bool
) -> tuple[RecurrentMixer, Tensors]:
    """Kimi delta attention: a head_dim x head_dim state per head, decay and output gates."""
    inner = heads * head_dim
    name, fused = "self_attn", "self_attn.qkv"
    tensors: Tensors = ()
    for part in ("q", "k", "v"):
        tensors += linear(
            f"{name}.{part}_proj", "recurrent", inner, hidden, parts=heads, fused=fused
        )
        tensors += linear(f"{name}.{part}_conv1d", "conv", inner, kernel, parts=heads)
    tensors += linear(f"{name}.f_a_proj", "gate", head_dim, hidden, shard="replicated")
    tensors += linear(f"{name}.f_b_proj", "gate", inner, head_dim, parts=heads)
    if full_rank_gate:
        tensors += linear(f"{name}.g_proj", "recurrent", inner, hidden, parts=heads)
    else:
        tensors += linear(f"{name}.g_a_proj", "gate", head_dim, hidden, shard="replicated")
        tensors += linear(f"{name}.g_b_proj", "gate", inner, head_dim, parts=heads)
    tensors += (
        linear(f"{name}.b_proj", "gate", heads, hidden, parts=heads)
        + vector(f"{name}.A_log", "conv", heads, shard="split")
        + vector(f"{name}.dt_bias", "conv", inner, shard="split")
        + norm(f"{name}.o_norm", head_dim)
        + linear(f"{name}.o_proj", "recurrent", hidden, inner, parts=heads)
    )
    mixer = RecurrentMixer(
        kind="kimi-delta",
        heads=heads,
        state_values=inner * head_dim,
        conv_values=3 * inner * (kernel - 1),
    )
    return mixer, tensors


def _linear_shape(fields: ConfigFields) -> tuple[int, int, int, bool]:
    section = fields.section("linear_attn_config")
    if section is None:
        heads, width = fields.count("linear_num_heads"), fields.count("linear_head_dim")
        return heads, width, fields.count("linear_conv_kernel_dim", default=4), False
    return (
        section.count("num_heads"),
        section.count("head_dim"),
        section.count("short_conv_kernel_size", default=4),
        section.flag("use_full_rank_gate"),
    )


def _is_linear(fields: ConfigFields, count: int) -> list[bool]:
    """Which layers are delta attention: ``layer_types``, else the section's lists.

    The lists count layers from 1 when they name the number ``count`` itself, else from 0.
    """
    kinds = fields.items("layer_types", count)
    if kinds is not None:
        return [kind == "linear_attention" for kind in kinds]
    section = fields.section("linear_attn_config")
    if section is None:
        raise fields.error("layer_types", "is missing", None, "one kind per layer")
    delta, full = section.indices("kda_layers"), section.indices("full_attn_layers")
    first = 1 if count in delta | full else 0
    return [index + first in delta for index in range(count)]


def _feed_forward(fields: ConfigFields, hidden: int) -> tuple[FeedForward, FeedForward]:
    width = fields.count("intermediate_size")
    dense: FeedForward = (DenseMlp(width), mlp(hidden, width))
    total = fields.expert_count("num_experts", "n_routed_experts")
    expert_width = fields.count("moe_intermediate_size")
    latent = fields.count("routed_expert_hidden_size", default=0, minimum=0)
    block = MoeMlp(
        total,
        fields.count("num_experts_per_token", "num_experts_per_tok", maximum=total),
        expert_width,
        shared_width=expert_width
        * fields.count("num_shared_experts", "n_shared_experts", default=0, minimum=0),
        latent=latent,
    )
    tensors = experts(hidden, block) + shared_expert(hidden, block.shared_width)
    if latent:  # kept in 16 bits like the router: the checkpoint's 1,560.86 GB say so
        tensors += linear("mlp.latent_down", "router", latent, hidden, shard="replicated")
        tensors += linear("mlp.latent_up", "router", hidden, latent, shard="replicated")
        if fields.flag("latent_moe_use_norm"):
            tensors += norm("mlp.latent_norm", latent)
    return dense, (block, tensors)


def _full_mixer(fields: ConfigFields, hidden: int) -> tuple[Mixer, Tensors]:
    mixer, tensors = latent_mixer(
        fields, hidden, indexer="full" if fields.has("index_topk") else ""
    )
    pool = fields.count("index_kpool", default=1)
    if mixer.indexer is not None and pool > 1:
        width = mixer.indexer.head_dim
        name = "self_attn.indexer.kpool"
        tensors += linear(f"{name}_gate", "gate", width, hidden, shard="replicated")
        tensors += linear(f"{name}_ape", "gate", pool, width, shard="replicated")
        mixer = replace(mixer, indexer=replace(mixer.indexer, pool=pool))
    if fields.flag("mla_use_output_gate"):
        rows = mixer.heads * mixer.v_head_dim
        tensors += linear("self_attn.g_proj", "attention", rows, hidden, parts=mixer.heads)
    return mixer, tensors


def decoder(fields: ConfigFields, *, note: str = "") -> Body:
    """A decoder of delta and latent attention layers."""
    hidden = fields.count("hidden_size")
    vocab = fields.count("vocab_size")
    count = fields.layer_count()
    heads, head_dim, kernel, full_rank = _linear_shape(fields)
    delta = delta_attention(hidden, heads, head_dim, kernel, full_rank_gate=full_rank)
    full = _full_mixer(fields, hidden)
    linear_layers = _is_linear(fields, count)
    first_dense = fields.count("first_k_dense_replace", default=1, minimum=0)
    kinds = fields.items("mlp_layer_types", count)
    dense, sparse = _feed_forward(fields, hidden)
    norms = layer_norms(hidden)
    around, outer_extra = _residual_tensors(fields, hidden)

    def layer(index: int) -> Layer:
        mixer, tensors = delta if linear_layers[index] else full
        is_dense = kinds[index] == "dense" if kinds else index < first_dense
        block, block_tensors = dense if is_dense else sparse
        return Layer(mixer, block, tensors + block_tensors + norms + around)

    modules = fields.count("num_nextn_predict_layers", default=0, minimum=0, maximum=64)
    return decoder_of(
        fields,
        shared_layers(count, layer),
        more=outer_extra,
        mtp=mtp_modules(modules, full[1] + sparse[1] + norms, hidden, vocab),
        note=note,
    )


def _residual_tensors(fields: ConfigFields, hidden: int) -> tuple[Tensors, Tensors]:
    """Attention residuals (Kimi-K3) or hyper-connections (GLM-5.3-Flash): per layer, and outside."""
    if fields.has("attn_res_block_size"):
        pair = norm("res_norm", hidden) + linear("res_proj", "gate", 1, hidden, shard="replicated")
        return pair + pair, pair
    if fields.has("hc_mult"):
        streams = fields.count("hc_mult", default=4)
        around = hyper_connection("attn_hc", hidden, streams)
        return around + hyper_connection("ffn_hc", hidden, streams), ()
    return (), ()


PARSERS: dict[str, Parser] = {
    "KimiLinearForCausalLM": decoder,
    "Glm5NextForCausalLM": decoder,
    "KimiK3ForCausalLM": partial(
        decoder, note="shapes from public loaders of the checkpoint; not checked against a count"
    ),
}
