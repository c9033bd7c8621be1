"""DeepSeek-V2, V3, V3.2, Kimi-K2 and GLM-5: latent attention, leading dense layers, many experts.

Sources: arXiv 2405.04434 (V2), 2412.19437 (V3), the DeepSeek-V3.2 report (sparse attention indexer),
and the model classes of Hugging Face transformers with the same names.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from planner.catalog.architectures.blocks import (
    Tensors,
    latent_attention,
    layer_norms,
    linear,
    mlp,
    norm,
    vector,
)
from planner.catalog.architectures.body import Body, Parser, decoder_of, mtp_modules, shared_layers
from planner.catalog.architectures.decoder import FeedForward
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.mixture import dense_layers, routed
from planner.catalog.model import DenseMlp, LatentAttention, Layer, MoeMlp, SparseIndexer


def latent_mixer(
    fields: ConfigFields, hidden: int, *, indexer: str = ""
) -> tuple[LatentAttention, Tensors]:
    """Multi-head latent attention of one layer.

    ``indexer``: "full" for a sparse-attention indexer, "shared" for the choice of an earlier one.
    """
    heads = fields.count("num_attention_heads", maximum=4096)
    q_rank = fields.count("q_lora_rank") if fields.has("q_lora_rank") else None
    kv_rank = fields.count("kv_lora_rank")
    nope = fields.count("qk_nope_head_dim")
    rope = fields.count("qk_rope_head_dim", minimum=0)
    v_dim = fields.count("v_head_dim")
    bias = fields.flag("attention_bias")
    tensors = latent_attention(
        hidden,
        heads,
        q_lora_rank=q_rank,
        kv_lora_rank=kv_rank,
        qk_nope_head_dim=nope,
        qk_rope_head_dim=rope,
        v_head_dim=v_dim,
        qkv_bias=bias,
        out_bias=bias,
    )
    spec: SparseIndexer | None = None
    if indexer:
        spec, extra = _indexer(fields, hidden, q_rank or hidden)
        if indexer == "full":
            tensors += extra
        else:
            spec = replace(spec, shared=True)
    return LatentAttention(heads, q_rank, kv_rank, nope, rope, v_dim, spec), tensors


def _indexer(fields: ConfigFields, hidden: int, query_width: int) -> tuple[SparseIndexer, Tensors]:
    spec = SparseIndexer(
        fields.count("index_n_heads"), fields.count("index_head_dim"), fields.count("index_topk")
    )
    name = "self_attn.indexer"
    rows = spec.heads * spec.head_dim
    return spec, (
        linear(f"{name}.wq_b", "indexer", rows, query_width, shard="replicated")
        + linear(f"{name}.wk", "indexer", spec.head_dim, hidden, shard="replicated")
        + norm(f"{name}.k_norm", spec.head_dim, bias=True)
        + linear(f"{name}.weights_proj", "gate", spec.heads, hidden, shard="replicated")
    )


def feed_forward(fields: ConfigFields, hidden: int) -> tuple[FeedForward, FeedForward]:
    """The dense and the sparse block."""
    width = fields.count("intermediate_size")
    expert_width = fields.count("moe_intermediate_size")
    shared = expert_width * fields.count(
        "n_shared_experts", "num_shared_experts", default=0, minimum=0
    )
    sparse = routed(fields, hidden, expert_width, shared_width=shared)
    return (DenseMlp(width), mlp(hidden, width)), sparse


def latent_decoder(fields: ConfigFields) -> Body:
    """A DeepSeek-shaped decoder; an indexer in every layer unless ``indexer_types`` shares it."""
    hidden = fields.count("hidden_size")
    vocab = fields.count("vocab_size")
    count = fields.layer_count()
    is_dense = dense_layers(fields, count)
    step = fields.count("moe_layer_freq", default=1)
    dense, sparse = feed_forward(fields, hidden)
    sparse_attention = fields.has("index_topk")
    kinds = fields.items("indexer_types", count) or ["full"] * count
    norms = layer_norms(hidden)

    def layer(index: int, *, moe: bool | None = None) -> Layer:
        kind = "shared" if kinds[index] == "shared" else "full"
        chosen = kind if sparse_attention else ""
        mixer, tensors = latent_mixer(fields, hidden, indexer=chosen)
        is_moe = (not is_dense[index] and index % step == 0) if moe is None else moe
        block, block_tensors = sparse if is_moe else dense
        return Layer(mixer, block, tensors + block_tensors + norms)

    modules = fields.count("num_nextn_predict_layers", default=0, minimum=0, maximum=64)
    return decoder_of(
        fields,
        shared_layers(count, layer),
        fields.count("qk_rope_head_dim"),
        mtp=mtp_modules(modules, layer(0, moe=True).tensors + _correction(sparse), hidden, vocab),
    )


def _correction(sparse: FeedForward) -> Tensors:
    block = sparse[0]
    return (
        vector("mlp.gate.e_score_correction_bias", "bias", block.experts)
        if isinstance(block, MoeMlp)
        else ()
    )


def dense_latent_decoder(fields: ConfigFields, *, tied: bool) -> Body:
    """Latent attention with dense feed-forwards; ``tied``: the default of ``tie_word_embeddings``."""
    hidden = fields.count("hidden_size")
    width = fields.count("intermediate_size")
    heads = fields.count("num_attention_heads", maximum=4096)
    head_dim = max(1, hidden // heads)  # MiniCPM3's files leave the value width to its class
    mixer, tensors = latent_mixer(fields.with_defaults({"v_head_dim": head_dim}), hidden)
    tensors += mlp(hidden, width)
    tensors += layer_norms(hidden)
    layer = Layer(mixer, DenseMlp(width), tensors)
    return decoder_of(
        fields,
        shared_layers(fields.layer_count(), lambda _index: layer),
        fields.count("qk_rope_head_dim"),
        tied=tied,
    )


PARSERS: dict[str, Parser] = {
    "MiniCPM3ForCausalLM": partial(dense_latent_decoder, tied=True),
    "YoutuForCausalLM": partial(dense_latent_decoder, tied=True),
    "Mistral4ForCausalLM": latent_decoder,
    "DeepseekV3ForCausalLM": latent_decoder,
    "DeepseekV32ForCausalLM": latent_decoder,
    "GlmMoeDsaForCausalLM": latent_decoder,
    "Glm4MoeLiteForCausalLM": latent_decoder,
    "KimiK2ForCausalLM": latent_decoder,
    "MistralLarge3ForCausalLM": latent_decoder,
}
