"""State-space decoders: Mamba, Mamba-2, and their hybrids with attention and experts.

Granite 4, Bamba, Falcon-H1, Jamba, LFM2. Sources: the model classes of Hugging Face transformers with
the same names; Mamba is arXiv 2312.00752, Mamba-2 arXiv 2405.21060.
"""

from __future__ import annotations

from functools import partial

from planner.catalog.architectures.blocks import Tensors, layer_norms, linear, mlp, norm, vector
from planner.catalog.architectures.body import (
    Body,
    Parser,
    attention_shape,
    decoder_of,
    shared_layers,
)
from planner.catalog.architectures.decoder import FeedForward, Style, standard_mixer
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.mixture import routed
from planner.catalog.model import DenseMlp, Layer, RecurrentMixer

Mixed = tuple[RecurrentMixer, Tensors]


def mamba2(
    hidden: int,
    *,
    heads: int,
    head_dim: int,
    groups: int,
    state: int,
    kernel: int,
    bias: bool = False,
    conv_bias: bool = True,
    gate_norm: bool = True,
    state_bytes: int = 4,
    name: str = "mamba",
) -> Mixed:
    """A Mamba-2 mixer: state of heads x head width x state size."""
    inner = heads * head_dim
    channels = inner + 2 * groups * state
    tensors = (
        linear(f"{name}.in_proj", "recurrent", inner + channels + heads, hidden, bias=bias)
        + linear(f"{name}.conv1d", "conv", channels, kernel, bias=conv_bias)
        + vector(f"{name}.A_log", "conv", heads, shard="split")
        + vector(f"{name}.D", "conv", heads, shard="split")
        + vector(f"{name}.dt_bias", "conv", heads, shard="split")
    )
    if gate_norm:
        tensors += norm(f"{name}.norm", inner, shard="split")
    tensors += linear(
        f"{name}.out_proj", "recurrent", hidden, inner, bias=bias, bias_shard="replicated"
    )
    mixer = RecurrentMixer("mamba2", heads, inner * state, channels * (kernel - 1), state_bytes)
    return mixer, tensors


def mamba1(
    hidden: int, *, inner: int, state: int, kernel: int, rank: int, inner_norms: bool = False
) -> Mixed:
    """A Mamba mixer: state of inner width x state size."""
    name = "mamba"
    tensors = (
        linear(f"{name}.in_proj", "recurrent", 2 * inner, hidden)
        + linear(f"{name}.conv1d", "conv", inner, kernel, bias=True)
        + linear(f"{name}.x_proj", "recurrent", rank + 2 * state, inner)
        + linear(f"{name}.dt_proj", "recurrent", inner, rank, bias=True)
        + linear(f"{name}.A_log", "conv", inner, state)
        + vector(f"{name}.D", "conv", inner, shard="split")
        + linear(f"{name}.out_proj", "recurrent", hidden, inner)
    )
    if inner_norms:
        tensors += norm(f"{name}.dt_norm", rank)
        tensors += norm(f"{name}.b_norm", state) + norm(f"{name}.c_norm", state)
    return RecurrentMixer("mamba", inner, inner * state, inner * (kernel - 1)), tensors


def _body(fields: ConfigFields, layers: tuple[Layer, ...], *, tied: bool = False) -> Body:
    rotary = 0
    if fields.has("num_attention_heads"):
        rotary = attention_shape(fields, fields.count("hidden_size"))[2]
    return decoder_of(fields, layers, rotary, tied=tied)


def _hybrid_mamba2(fields: ConfigFields, hidden: int, *, gate_norm: bool = True) -> Mixed:
    heads = fields.count("mamba_n_heads")
    inner = fields.count("mamba_d_ssm", default=fields.count("mamba_expand") * hidden)
    fields.divides("mamba_n_heads", heads, "mamba_d_ssm", inner)
    return mamba2(
        hidden,
        heads=heads,
        head_dim=inner // heads,
        groups=fields.count("mamba_n_groups"),
        state=fields.count("mamba_d_state"),
        kernel=fields.count("mamba_d_conv"),
        bias=fields.flag("mamba_proj_bias"),
        conv_bias=fields.flag("mamba_conv_bias", True),
        gate_norm=gate_norm,
        state_bytes=2,
    )


def _kinds(fields: ConfigFields, count: int) -> list[bool]:
    """Which layers are attention: listed by kind or by index."""
    listed = fields.items("layer_types", count) or fields.items("layers_block_type", count)
    if listed is not None:
        return [kind in ("attention", "full_attention") for kind in listed]
    indices = fields.indices("attn_layer_indices", "full_attn_idxs")
    return [index in indices for index in range(count)]


def granite_hybrid(fields: ConfigFields) -> Body:
    """Granite 4 and Bamba: Mamba-2 or attention, then experts beside a shared feed-forward, or one."""
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    is_attention = _kinds(fields, count)
    norms = layer_norms(hidden)
    shared = fields.count("shared_intermediate_size", default=0, minimum=0)
    if fields.expert_count("num_local_experts", default=0):
        block, tensors = routed(
            fields, hidden, fields.count("intermediate_size"), shared_width=shared
        )
    else:
        width = shared or fields.count("intermediate_size")
        block, tensors = DenseMlp(width), mlp(hidden, width, bias=fields.flag("mlp_bias"))

    def layer(index: int) -> Layer:
        if is_attention[index]:
            attended, own = standard_mixer(fields, Style(), hidden, None)
            return Layer(attended, block, own + tensors + norms)
        mixed, own = _hybrid_mamba2(fields, hidden)
        return Layer(mixed, block, own + tensors + norms)

    return _body(fields, shared_layers(count, layer))


def falcon_h1(fields: ConfigFields) -> Body:
    """Falcon-H1: Mamba-2 and attention side by side, represented here as two layers."""
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    width = fields.count("intermediate_size")
    mixed, own = _hybrid_mamba2(fields, hidden, gate_norm=fields.flag("mamba_rms_norm"))
    attended, projections = standard_mixer(fields, Style(), hidden, None)
    block: FeedForward = (DenseMlp(width), mlp(hidden, width, bias=fields.flag("mlp_bias")))
    recurrent = Layer(mixed, None, own + norm("input_layernorm", hidden))
    attending = Layer(attended, block[0], projections + block[1] + norm("pre_ff_layernorm", hidden))
    layers = shared_layers(2 * count, lambda index: attending if index % 2 else recurrent)
    return _body(fields, layers)


def jamba(fields: ConfigFields) -> Body:
    """Jamba: attention every so many layers, experts every other one."""
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    width = fields.count("intermediate_size")
    every = fields.count("attn_layer_period")
    offset = fields.count("attn_layer_offset", minimum=0)
    sparse_every = fields.count("expert_layer_period")
    sparse_offset = fields.count("expert_layer_offset", minimum=0)
    norms = norm("input_layernorm", hidden) + norm("pre_ff_layernorm", hidden)
    dense: FeedForward = (DenseMlp(width), mlp(hidden, width))
    has_experts = fields.expert_count("num_experts", default=0) > 1
    sparse = routed(fields, hidden, width) if has_experts else dense

    def layer(index: int) -> Layer:
        block = sparse if index % sparse_every == sparse_offset else dense
        if index % every == offset:
            attended, own = standard_mixer(fields, Style(), hidden, None)
            return Layer(attended, block[0], own + block[1] + norms)
        mixed, own = mamba1(
            hidden,
            inner=fields.count("mamba_expand") * hidden,
            state=fields.count("mamba_d_state"),
            kernel=fields.count("mamba_d_conv"),
            rank=fields.count("mamba_dt_rank"),
            inner_norms=True,
        )
        return Layer(mixed, block[0], own + block[1] + norms)

    return _body(fields, shared_layers(count, layer))


def pure(fields: ConfigFields, *, second: bool) -> Body:
    """Mamba (or Falcon-Mamba) and Mamba-2 without attention."""
    hidden = fields.count("hidden_size")
    expand, state = fields.count("expand"), fields.count("state_size")
    kernel = fields.count("conv_kernel")
    if second:
        mixed, own = mamba2(
            hidden,
            heads=fields.count("num_heads"),
            head_dim=fields.count("head_dim"),
            groups=fields.count("n_groups"),
            state=state,
            kernel=kernel,
            bias=fields.flag("use_bias"),
            conv_bias=fields.flag("use_conv_bias", True),
        )
    else:
        inner = fields.count("intermediate_size", default=expand * hidden)
        rank = fields.values.get("time_step_rank")
        steps = -(-hidden // 16) if rank == "auto" else fields.count("time_step_rank")
        mixed, own = mamba1(hidden, inner=inner, state=state, kernel=kernel, rank=steps)
    layer = Layer(mixed, None, own + norm("norm", hidden))
    count = fields.layer_count("num_hidden_layers", "n_layer")
    return _body(fields, shared_layers(count, lambda _index: layer), tied=not second)


def _lfm2_width(fields: ConfigFields) -> int:
    width = fields.count("intermediate_size", "block_ff_dim")
    if not fields.flag("block_auto_adjust_ff_dim", True):
        return width
    width = int(2 * width / 3 * fields.number("block_ffn_dim_multiplier", 1.0))
    multiple = fields.count("block_multiple_of", default=256)
    return -(-width // multiple) * multiple


def lfm2(fields: ConfigFields, *, moe: bool) -> Body:
    """LFM2: short gated convolutions and attention; the cache of a convolution is a few tokens."""
    hidden = fields.count("hidden_size")
    count = fields.layer_count()
    is_attention = _kinds(fields, count)
    kernel = fields.count("conv_L_cache")
    bias = fields.flag("conv_bias")
    conv = (
        linear("conv.in_proj", "recurrent", 3 * hidden, hidden, bias=bias)
        + linear("conv.conv", "conv", hidden, kernel, bias=bias)
        + linear("conv.out_proj", "recurrent", hidden, hidden, bias=bias)
    )
    mixed = RecurrentMixer("short-conv", hidden, 0, hidden * kernel)
    width = fields.count("intermediate_size") if moe else _lfm2_width(fields)
    dense: FeedForward = (DenseMlp(width), mlp(hidden, width))
    leading = fields.count("num_dense_layers", default=0, minimum=0) if moe else count
    sparse = routed(fields, hidden, fields.count("moe_intermediate_size")) if moe else dense
    norms = norm("operator_norm", hidden) + norm("ffn_norm", hidden)

    def layer(index: int) -> Layer:
        block = dense if index < leading else sparse
        if is_attention[index]:
            attended, own = standard_mixer(fields, Style(qk_norm="head"), hidden, None)
            return Layer(attended, block[0], own + block[1] + norms)
        return Layer(mixed, block[0], conv + block[1] + norms)

    return _body(fields, shared_layers(count, layer), tied=True)


PARSERS: dict[str, Parser] = {
    "GraniteMoeHybridForCausalLM": granite_hybrid,
    "BambaForCausalLM": granite_hybrid,
    "FalconH1ForCausalLM": falcon_h1,
    "JambaForCausalLM": jamba,
    "MambaForCausalLM": partial(pure, second=False),
    "FalconMambaForCausalLM": partial(pure, second=False),
    "Mamba2ForCausalLM": partial(pure, second=True),
    "Lfm2ForCausalLM": partial(lfm2, moe=False),
    "Lfm2MoeForCausalLM": partial(lfm2, moe=True),
}
