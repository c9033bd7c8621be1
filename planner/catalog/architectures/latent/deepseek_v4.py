"""DeepSeek-V4: compressed sparse attention, hyper-connections, experts in every layer.

Every layer keeps a window of raw entries; layers with a compression ratio also keep one pooled entry
per ratio tokens, and those with ratio 4 pick among them with an indexer that has a cache of its own.
Sources: the DeepSeek-V4 report and the ``deepseek_v4`` model class of Hugging Face transformers;
manifold-constrained hyper-connections are arXiv 2512.24880.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.catalog.architectures.blocks import (
    Tensors,
    experts,
    linear,
    norm,
    shared_expert,
    vector,
)
from planner.catalog.architectures.body import Body, Parser, decoder_of, mtp_modules, shared_layers
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.model import Layer, MoeMlp, SoftmaxAttention, SparseIndexer, Tensor

INDEXED_RATIO = 4


def hyper_connection(name: str, hidden: int, streams: int) -> Tensors:
    """The maps between ``streams`` residual streams around one block, and their scales."""
    mixed = (2 + streams) * streams
    return (
        linear(f"{name}.fn", "gate", mixed, streams * hidden, shard="replicated")
        + vector(f"{name}.base", "norm", mixed)
        + vector(f"{name}.scale", "norm", 3)
    )


def _compressor(name: str, hidden: int, head_dim: int, ratio: int) -> Tensors:
    """Pools ``ratio`` tokens into one entry; ratio 4 overlaps two windows."""
    width = head_dim * (2 if ratio == INDEXED_RATIO else 1)
    return (
        linear(f"{name}.wkv", "gate", width, hidden, shard="replicated")
        + linear(f"{name}.wgate", "gate", width, hidden, shard="replicated")
        + linear(f"{name}.ape", "gate", ratio, width, shard="replicated")
        + norm(f"{name}.norm", head_dim)
    )


def _attention(fields: ConfigFields, hidden: int, ratio: int) -> tuple[SoftmaxAttention, Tensors]:
    heads = fields.count("num_attention_heads")
    head_dim = fields.count("head_dim")
    q_rank, o_rank = fields.count("q_lora_rank"), fields.count("o_lora_rank")
    groups = fields.count("o_groups")
    fields.divides("o_groups", groups, "num_attention_heads", heads)
    name = "self_attn"
    tensors = (
        linear(f"{name}.q_a_proj", "attention", q_rank, hidden, shard="replicated")
        + norm(f"{name}.q_a_norm", q_rank)
        + linear(f"{name}.q_b_proj", "attention", heads * head_dim, q_rank, parts=heads)
        + linear(f"{name}.kv_proj", "attention", head_dim, hidden, shard="replicated")
        + norm(f"{name}.kv_norm", head_dim)
        + vector(f"{name}.sinks", "norm", heads, shard="split")
        + linear(
            f"{name}.o_a_proj",
            "attention",
            groups * o_rank,
            heads * head_dim // groups,
            parts=groups,
        )
        + linear(f"{name}.o_b_proj", "attention", hidden, groups * o_rank, parts=groups)
    )
    indexer: SparseIndexer | None = None
    if ratio:
        tensors += _compressor(f"{name}.compressor", hidden, head_dim, ratio)
    if ratio == INDEXED_RATIO:
        indexer = SparseIndexer(
            fields.count("index_n_heads"),
            fields.count("index_head_dim"),
            fields.count("index_topk"),
        )
        rows = indexer.heads * indexer.head_dim
        inner = f"{name}.indexer"
        tensors += linear(f"{inner}.wq_b", "indexer", rows, q_rank, shard="replicated")
        tensors += linear(
            f"{inner}.weights_proj", "gate", indexer.heads, hidden, shard="replicated"
        )
        tensors += _compressor(f"{inner}.compressor", hidden, indexer.head_dim, ratio)
    mixer = SoftmaxAttention(
        heads,
        kv_heads=1,
        head_dim=head_dim,
        v_head_dim=head_dim,
        window=fields.count("sliding_window"),
        keys_equal_values=True,
        compress_ratio=ratio or 1,
        indexer=indexer,
        rotary_values=fields.count("qk_rope_head_dim"),
    )
    return mixer, tensors


def _ratios(fields: ConfigFields, count: int) -> Sequence[object]:
    """The compression of every layer: listed, or by the kinds in ``layer_types``."""
    listed = fields.items("compress_ratios", count)
    if listed is not None:
        return listed
    kinds = fields.items("layer_types", count)
    rates = fields.section("compress_rates")
    if kinds is None or rates is None:
        raise fields.error("compress_ratios", "is missing", None, "one ratio per layer")
    return [rates.count(str(kind), default=0, minimum=0) for kind in kinds]


def decoder(fields: ConfigFields) -> Body:
    """A DeepSeek-V4 decoder."""
    hidden = fields.count("hidden_size")
    vocab = fields.count("vocab_size")
    count = fields.layer_count()
    streams = fields.count("hc_mult", default=1)
    ratios = _ratios(fields, count)
    width = fields.count("moe_intermediate_size")
    total = fields.expert_count("n_routed_experts")
    top_k = fields.count("num_experts_per_tok", maximum=total)
    shared = width * fields.count("n_shared_experts", default=0, minimum=0)
    block = MoeMlp(total, top_k, width, shared)
    block_tensors = experts(hidden, block) + shared_expert(hidden, shared)
    norms = norm("attn_norm", hidden) + norm("ffn_norm", hidden)
    around = hyper_connection("attn_hc", hidden, streams)
    around += hyper_connection("ffn_hc", hidden, streams)

    def layer(index: int) -> Layer:
        ratio = ratios[index]
        if isinstance(ratio, bool) or not isinstance(ratio, int) or not 0 <= ratio <= 65_536:
            raise fields.error("compress_ratios", "is absurd", ratio, "whole numbers from 0")
        mixer, tensors = _attention(fields, hidden, ratio)
        return Layer(mixer, block, tensors + block_tensors + norms + around)

    modules = fields.count("num_nextn_predict_layers", default=0, minimum=0, maximum=64)
    plain = _attention(fields, hidden, 0)[1] + block_tensors + norms + around
    merge = (
        Tensor("hc_head.fn", "gate", streams, streams * hidden, 1, "replicated"),
        Tensor("hc_head.base", "norm", streams + 1, 1, 1, "replicated"),
    )
    body = decoder_of(
        fields,
        shared_layers(count, layer),
        fields.count("qk_rope_head_dim"),
        more=merge,
        mtp=mtp_modules(modules, plain, hidden, vocab),
    )
    return replace(body, rope_values=2 * body.rope_values)


PARSERS: dict[str, Parser] = {"DeepseekV4ForCausalLM": decoder}
