"""MiniMax-M3: grouped-query attention over blocks chosen by a small indexer, experts after dense layers.

Source: the ``minimax_m3_vl`` model class of Hugging Face transformers.
"""

from __future__ import annotations

from dataclasses import replace

from planner.catalog.architectures.blocks import Tensors, linear, mlp, norm
from planner.catalog.architectures.body import Body, Parser
from planner.catalog.architectures.decoder import FeedForward, Style, decoder_body
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.mixture import routed
from planner.catalog.model import DenseMlp, Layer, SoftmaxAttention, SparseIndexer


def decoder(fields: ConfigFields) -> Body:
    """A MiniMax-M3 text decoder."""
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    width = fields.count("dense_intermediate_size")
    is_sparse = fields.items("moe_layer_freq", count) or [1] * count
    dense: FeedForward = (DenseMlp(width), mlp(hidden, width))
    sparse = routed(
        fields,
        hidden,
        fields.count("intermediate_size"),
        shared_width=fields.count("shared_intermediate_size", default=0, minimum=0)
        * fields.count("n_shared_experts", default=1, minimum=0),
    )
    body = decoder_body(
        fields, Style(qk_norm="head"), lambda index: sparse if is_sparse[index] else dense
    )
    section = fields.section("sparse_attention_config")
    if section is None or not section.flag("use_sparse_attention", True):
        return body
    chosen = section.items("sparse_attention_freq", count) or [1] * count
    indexer = SparseIndexer(
        section.count("sparse_num_index_heads"),
        section.count("sparse_index_dim"),
        section.count("sparse_topk_blocks") * section.count("sparse_block_size"),
    )
    extra = _indexer_tensors(indexer, hidden)
    memo: dict[Layer, Layer] = {}

    def with_indexer(layer: Layer) -> Layer:
        if layer not in memo:
            assert isinstance(layer.mixer, SoftmaxAttention)
            mixer = replace(layer.mixer, indexer=indexer)
            memo[layer] = Layer(mixer, layer.mlp, layer.tensors + extra)
        return memo[layer]

    layers = tuple(
        with_indexer(layer) if chosen[index] else layer for index, layer in enumerate(body.layers)
    )
    return replace(body, layers=layers)


def _indexer_tensors(indexer: SparseIndexer, hidden: int) -> Tensors:
    name = "self_attn.index"
    return (
        linear(
            f"{name}_q_proj",
            "indexer",
            indexer.heads * indexer.head_dim,
            hidden,
            parts=indexer.heads,
        )
        + linear(f"{name}_k_proj", "indexer", indexer.head_dim, hidden, shard="replicated")
        + norm(f"{name}_q_norm", indexer.head_dim)
        + norm(f"{name}_k_norm", indexer.head_dim)
    )


PARSERS: dict[str, Parser] = {
    "MiniMaxM3ForCausalLM": decoder,
    "MiniMaxM3SparseForCausalLM": decoder,
}
