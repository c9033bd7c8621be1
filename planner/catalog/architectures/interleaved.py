"""Hybrids whose attention is shared or compressed: Zamba 2 and Ling/Ring 2.5.

Sources: the ``zamba2`` model class of Hugging Face transformers 5.24, and vLLM's ``bailing_moe_linear``.
"""

from __future__ import annotations

from planner.catalog.architectures.blocks import Tensors, attention, layer_norms, linear, mlp, norm
from planner.catalog.architectures.body import Body, Parser, decoder_of, shared_layers
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.latent.deepseek import feed_forward, latent_mixer
from planner.catalog.architectures.mixture import dense_layers
from planner.catalog.architectures.recurrent.lightning import lightning_mixer
from planner.catalog.architectures.recurrent.state_space import mamba2
from planner.catalog.model import DenseMlp, Layer, SoftmaxAttention, Tensor


def zamba2(fields: ConfigFields) -> Body:
    """Zamba 2: Mamba-2 layers, some preceded by one of a few shared transformer blocks.

    A shared block's weights are loaded once; each place it is used at has a cache, a low-rank adapter
    and a projection of its own.
    """
    hidden, count = fields.count("hidden_size"), fields.layer_count()
    kinds = fields.items("layers_block_type", count)
    if kinds is None:
        raise fields.error("layers_block_type", "is missing", None, "one kind per layer")
    heads = fields.count("num_attention_heads")
    kv_heads = fields.count("num_key_value_heads", default=heads)
    wide = 2 * hidden
    fields.divides("num_attention_heads", heads, "hidden_size", wide)
    dim = wide // heads
    inner = fields.count("mamba_expand", default=2) * hidden
    mamba_heads = fields.count("n_mamba_heads", default=8)
    mixed, own = mamba2(
        hidden,
        heads=mamba_heads,
        head_dim=inner // mamba_heads,
        groups=fields.count("mamba_ngroups", default=1),
        state=fields.count("mamba_d_state", default=64),
        kernel=fields.count("mamba_d_conv", default=4),
        bias=fields.flag("add_bias_linear"),
        state_bytes=2,
    )
    recurrent = Layer(mixed, None, own + norm("input_layernorm", hidden))
    width = fields.count("intermediate_size", default=4 * hidden)
    reading = _shared_attention(hidden, wide, heads, kv_heads, dim)
    reading += mlp(hidden, width, bias=fields.flag("add_bias_linear"))
    reading += norm("input_layernorm", wide) + norm("pre_ff_layernorm", hidden)
    attended = SoftmaxAttention(heads, kv_heads, dim, dim)
    adapters = _adapters(fields, hidden, wide, width)
    layers: list[Layer] = []
    seen = 0
    for kind in kinds:
        if kind == "hybrid":
            shared = reading if seen < fields.count("num_mem_blocks", default=1) else ()
            layers.append(Layer(attended, DenseMlp(width), shared + adapters))
            seen += 1
        layers.append(recurrent)
    return decoder_of(
        fields,
        shared_layers(len(layers), lambda index: layers[index]),
        dim if fields.flag("use_mem_rope") else 0,
        tied=True,
        note="shared blocks are loaded once and run at every hybrid layer; their work counts once",
    )


def _shared_attention(hidden: int, wide: int, heads: int, kv_heads: int, dim: int) -> Tensors:
    """Attention over state and embedding side by side, back to the hidden width."""
    return tuple(
        Tensor(t.name, t.klass, hidden, t.cols, t.copies, t.shard, t.parts, t.fused)
        if t.name == "self_attn.o_proj.weight"
        else t
        for t in attention(wide, heads, kv_heads, dim)
    )


def _adapters(fields: ConfigFields, hidden: int, wide: int, width: int) -> Tensors:
    rank = fields.count("adapter_rank", default=128)
    tensors = linear("linear", "mlp", hidden, hidden, shard="replicated")
    tensors += linear("mlp.adapter_in", "mlp", rank, hidden, shard="replicated")
    tensors += linear("mlp.adapter_out", "mlp", 2 * width, rank)
    if fields.flag("use_shared_attention_adapter"):
        for part in ("q", "k", "v"):
            tensors += linear(f"attn.{part}_in", "attention", rank, wide, shard="replicated")
            tensors += linear(f"attn.{part}_out", "attention", wide, rank)
    return tensors


def ling25(fields: ConfigFields) -> Body:
    """Ling and Ring 2.5: lightning layers with latent attention at the end of every group."""
    hidden, count = fields.count("hidden_size"), fields.layer_count()
    group = fields.count("layer_group_size", default=8)
    is_dense = dense_layers(fields, count)
    plain, sparse = feed_forward(fields, hidden)
    heads = fields.count("num_attention_heads")
    dim = fields.count("head_dim", default=max(1, hidden // heads))
    mixed, own = lightning_mixer(hidden, heads, dim)
    own += norm("self_attn.q_norm", dim) + norm("self_attn.k_norm", dim)
    attended, projections = latent_mixer(fields, hidden)
    norms = layer_norms(hidden)

    def layer(index: int) -> Layer:
        block, tensors = plain if is_dense[index] else sparse
        if (index + 1) % group == 0 or index >= count // group * group:
            return Layer(attended, block, projections + tensors + norms)
        return Layer(mixed, block, own + tensors + norms)

    return decoder_of(fields, shared_layers(count, layer), fields.count("qk_rope_head_dim"))


PARSERS: dict[str, Parser] = {
    "Zamba2ForCausalLM": zamba2,
    "BailingMoeV2_5ForCausalLM": ling25,
}
