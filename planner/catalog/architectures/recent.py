"""Decoders of 2026 built from known parts: Command A MoE, Mellum 2, Flint, Kolibri, Beam, Muse Glimmer,
Hunyuan 4, OLMo Hybrid, Ling 3 and Qwen 4's experimental release.

Sources: the model classes of Hugging Face transformers 5.24 with the same names.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from planner.catalog.architectures.blocks import Tensors, linear, mlp, norm, vector
from planner.catalog.architectures.body import (
    Body,
    Parser,
    attention_windows,
    decoder_of,
    shared_layers,
)
from planner.catalog.architectures.decoder import (
    FeedForward,
    Style,
    decoder_body,
    dense,
    standard_mixer,
)
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.latent.deepseek import latent_decoder
from planner.catalog.architectures.mixture import routed
from planner.catalog.architectures.recurrent.gated_delta import delta_mixer, full_mixer
from planner.catalog.architectures.recurrent.kimi_linear import decoder as kimi_decoder
from planner.catalog.model import (
    DenseMlp,
    LatentAttention,
    Layer,
    SparseIndexer,
    Tensor,
)


def listed_mixture(
    style: Style, fields: ConfigFields, *, expert_key: str = "moe_intermediate_size"
) -> Body:
    """Dense and sparse layers as ``mlp_layer_types`` or ``mlp_only_layers`` list them."""
    hidden, count = fields.count("hidden_size"), fields.layer_count()
    kinds = fields.items("mlp_layer_types", count) or ["sparse"] * count
    dense_ones = fields.indices("mlp_only_layers")
    width = fields.count(expert_key)
    number = fields.count("num_shared_experts", default=0, minimum=0)
    shared = fields.count("shared_expert_intermediate_size", default=number * width, minimum=0)
    sparse = routed(fields, hidden, width, shared_width=shared)

    def feed(index: int) -> FeedForward:
        if kinds[index] != "dense" and index not in dense_ones:
            return sparse
        own = fields.count("prefix_dense_intermediate_size", "intermediate_size")
        return DenseMlp(own), mlp(hidden, own)

    return decoder_body(fields, style, feed, attention_windows(fields, count))


def _with(body: Body, extra: Tensors) -> Body:
    """The body with more tensors in every layer."""
    layers = {layer: replace(layer, tensors=layer.tensors + extra) for layer in set(body.layers)}
    return replace(body, layers=tuple(layers[layer] for layer in body.layers))


def hunyuan4(fields: ConfigFields) -> Body:
    """Hunyuan 4: DeepSeek-V3.2's attention with an output gate and sinks, over several streams."""
    body = latent_decoder(fields)
    hidden, streams = body.hidden, fields.count("hc_mult", default=4, maximum=64)
    mixer = body.layers[0].mixer
    heads = mixer.heads if isinstance(mixer, LatentAttention) else 0
    gate = heads * fields.count("v_head_dim")
    extra = linear("self_attn.gate_proj", "attention", gate, hidden, parts=heads)
    extra += vector("self_attn.sinks", "norm", heads, shard="split")
    for name in ("attn_hc", "mlp_hc"):
        extra += linear(f"{name}.fn", "gate", 2 * streams, streams * hidden, shard="replicated")
    wide = _with(body, extra)
    head = linear("hc_head", "gate", streams, streams * hidden, shard="replicated")
    return replace(wide, outer=wide.outer + head)


def olmo_hybrid(fields: ConfigFields) -> Body:
    """OLMo Hybrid: gated delta layers between layers of OLMo 2's attention."""
    hidden, count = fields.count("hidden_size"), fields.layer_count()
    kinds = fields.items("layer_types", count) or [
        "full_attention" if (index + 1) % 4 == 0 else "linear_attention" for index in range(count)
    ]
    width = fields.count("intermediate_size")
    block: FeedForward = (DenseMlp(width), mlp(hidden, width))
    norms = norm("layernorm_0", hidden) + norm("layernorm_1", hidden)

    def layer(index: int) -> Layer:
        if kinds[index] == "linear_attention":
            mixed, own = delta_mixer(fields, hidden)
            return Layer(mixed, block[0], own + block[1] + norms)
        attended, own = standard_mixer(fields, Style(qk_norm="full"), hidden, None)
        return Layer(attended, block[0], own + block[1] + norms)

    return _finished(fields, shared_layers(count, layer))


def _finished(fields: ConfigFields, layers: tuple[Layer, ...], more: Tensors = ()) -> Body:
    hidden, heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    head_dim = fields.count("head_dim", default=max(1, hidden // heads))
    return decoder_of(fields, layers, head_dim, more=more)


def ling3(fields: ConfigFields) -> Body:
    """Ling 3: Kimi delta attention with latent attention at the end of every group of layers."""
    count = fields.layer_count()
    group = fields.count("layer_group_size", default=6)
    kinds = [
        "full_attention" if (index + 1) % group == 0 else "linear_attention"
        for index in range(count)
    ]
    defaults = {
        "layer_types": kinds,
        "linear_num_heads": fields.values.get("num_attention_heads"),
        "linear_head_dim": fields.values.get("head_dim", 128),
        "linear_conv_kernel_dim": fields.values.get("short_conv_kernel_size", 4),
    }
    return kimi_decoder(fields.with_defaults(defaults))


def qwen4(fields: ConfigFields) -> Body:
    """Qwen 4's experimental release: gated delta and indexed attention over low-rank streams, experts."""
    hidden, count = fields.count("hidden_size"), fields.layer_count()
    kinds = fields.items("layer_types", count) or [
        "indexed_attention" if (index + 1) % 4 == 0 else "linear_attention"
        for index in range(count)
    ]
    width = fields.count("moe_intermediate_size")
    shared = fields.count("shared_expert_intermediate_size", default=0, minimum=0)
    block = routed(fields, hidden, width, shared_width=shared, shared_gate=True)
    streams, rank = fields.count("hc_count", default=4, maximum=64), fields.count("hc_lowrank")
    mixing = norm("hc_norm", streams * hidden)
    mixing += linear("hc.down", "gate", rank, streams * hidden, shard="replicated")
    mixing += linear("hc.up", "gate", streams * hidden, rank, shard="replicated")
    mixing += linear("hc.inject", "gate", streams, streams * hidden, shard="replicated")

    def layer(index: int) -> Layer:
        if kinds[index] == "linear_attention":
            mixed, own = delta_mixer(fields, hidden)
            return Layer(mixed, block[0], own + block[1] + mixing * 2)
        attended, own = full_mixer(fields, hidden)
        indexer, keys = _indexer(fields, hidden)
        attended = replace(attended, indexer=indexer)
        return Layer(attended, block[0], own + keys + block[1] + mixing * 2)

    body = _finished(fields, shared_layers(count, layer), _ngrams(fields, hidden * streams))
    note = "the tables of n-grams count as embeddings" if fields.items("ple_layer_ids") else ""
    return replace(body, note=note)


def _indexer(fields: ConfigFields, hidden: int) -> tuple[SparseIndexer | None, Tensors]:
    if not fields.has("indexer_n_heads"):
        return None, ()
    heads, dim = fields.count("indexer_n_heads"), fields.count("indexer_head_dim")
    own = fields.count("indexer_kv_heads", default=1)
    pool = fields.count("indexer_compress_ratio", default=1)
    rows = (heads + own) * dim
    tensors = linear("self_attn.indexer.qk_proj", "indexer", rows, hidden, shard="replicated")
    tensors += norm("self_attn.indexer.q_norm", dim) + norm("self_attn.indexer.k_norm", dim)
    return SparseIndexer(heads, own * dim, fields.count("indexer_budget"), pool), tensors


def _ngrams(fields: ConfigFields, wide: int) -> Tensors:
    """Tables of hashed n-grams beside some layers, and what joins them to the streams."""
    layers = fields.items("ple_layer_ids") or ()
    if not layers:
        return ()
    size = fields.count("ple_embed_dim")
    heads = (fields.count("ngram_size") - 1) * fields.count("heads_per_ngram")
    base = fields.count("ngram_vocab_size_base")
    step = fields.count("make_ngram_vocab_size_divisible_by", default=128)
    rows = math.ceil(heads * base / step) * step
    copies = len(layers)
    hidden = fields.count("hidden_size")
    return (
        Tensor("ple.ngrams.weight", "embedding", rows, size // heads or 1, copies, "vocab"),
        Tensor("ple.key_proj.weight", "mlp", wide, size, copies, "replicated"),
        Tensor("ple.value_proj.weight", "mlp", hidden, size, copies, "replicated"),
    )


def gated_heads_dense(fields: ConfigFields) -> Body:
    """Muse Glimmer: four norms a layer, windows as listed, an output gate on every head."""
    return dense(Style(norms=4, output_gate=True), fields)


PARSERS: dict[str, Parser] = {
    "Cohere2MoeForCausalLM": partial(
        listed_mixture, Style(norms=1, tied=True), expert_key="intermediate_size"
    ),
    "MellumForCausalLM": partial(listed_mixture, Style(qk_norm="head")),
    "FlintForCausalLM": partial(listed_mixture, Style(qk_norm="head", sinks=True)),
    "Kolibri1ForCausalLM": partial(listed_mixture, Style(qk_norm="head", norms=4)),
    "BeamForCausalLM": partial(listed_mixture, Style(qk_norm="head", norms=4, output_gate=True)),
    "MuseGlimmerForCausalLM": gated_heads_dense,
    "HYV4ForCausalLM": hunyuan4,
    "OlmoHybridForCausalLM": olmo_hybrid,
    "BailingMoeV3ForCausalLM": ling3,
    "Qwen4ExpForCausalLM": qwen4,
}
