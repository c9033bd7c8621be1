"""MiMo-V2: sliding layers with more KV heads than the full ones, values narrower than keys, experts.

Source: the ``mimo_v2_flash`` model class of Hugging Face transformers and the checkpoints' own fields.
"""

from __future__ import annotations

from planner.catalog.architectures.blocks import Tensors, attention, layer_norms, mlp, vector
from planner.catalog.architectures.body import Body, Parser, decoder_of, shared_layers
from planner.catalog.architectures.decoder import FeedForward
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.mixture import routed
from planner.catalog.model import DenseMlp, Layer, SoftmaxAttention


def _chosen(fields: ConfigFields, count: int, flags: str, kinds: str, wanted: str) -> list[bool]:
    """Which layers are of the ``wanted`` kind: a list of 0 and 1, or of names."""
    listed = fields.items(flags, count)
    if listed is not None:
        return [bool(value) for value in listed]
    named = fields.items(kinds, count)
    if named is None:
        raise fields.error(flags, "is missing", None, f"one entry per layer, or {kinds}")
    return [kind == wanted for kind in named]


def _mixer(fields: ConfigFields, hidden: int, sliding: bool) -> tuple[SoftmaxAttention, Tensors]:
    heads = fields.count("num_attention_heads")
    kv_heads = fields.count("num_key_value_heads")
    head_dim, v_dim = fields.count("head_dim"), fields.count("v_head_dim")
    window: int | None = None
    if sliding:
        heads = fields.count("swa_num_attention_heads", default=heads)
        kv_heads = fields.count("swa_num_key_value_heads", default=2 * kv_heads)
        head_dim = fields.count("swa_head_dim", default=head_dim)
        v_dim = fields.count("swa_v_head_dim", default=v_dim)
        window = fields.count("sliding_window", "sliding_window_size")
    fields.divides("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    bias = fields.flag("attention_bias")
    tensors = attention(hidden, heads, kv_heads, head_dim, v_head_dim=v_dim, qkv_bias=bias)
    if sliding and fields.flag("add_swa_attention_sink_bias", True):
        tensors += vector("self_attn.sinks", "norm", heads, shard="split")
    return SoftmaxAttention(heads, kv_heads, head_dim, v_dim, window), tensors


def decoder(fields: ConfigFields) -> Body:
    """A MiMo-V2 text decoder."""
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    sliding = _chosen(fields, count, "hybrid_layer_pattern", "layer_types", "sliding_attention")
    is_sparse = _chosen(fields, count, "moe_layer_freq", "mlp_layer_types", "sparse")
    width, expert_width = fields.count("intermediate_size"), fields.count("moe_intermediate_size")
    dense: FeedForward = (DenseMlp(width), mlp(hidden, width))
    shared = expert_width * fields.count("n_shared_experts", default=0, minimum=0)
    sparse = routed(fields, hidden, expert_width, shared_width=shared)
    norms = layer_norms(hidden)

    def layer(index: int) -> Layer:
        mixer, tensors = _mixer(fields, hidden, sliding[index])
        block, block_tensors = sparse if is_sparse[index] else dense
        return Layer(mixer, block, tensors + block_tensors + norms)

    return decoder_of(fields, shared_layers(count, layer), fields.count("head_dim"))


PARSERS: dict[str, Parser] = {
    "MiMoV2FlashForCausalLM": decoder,
    "MiMoV2ForCausalLM": decoder,
}
