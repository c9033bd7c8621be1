"""Decoders of the Llama shape whose feed-forward is a mixture of experts in some or all layers.

Sources: the model classes of Hugging Face transformers with the same names.
"""

from __future__ import annotations

from functools import partial

from planner.catalog.architectures.blocks import Tensors, experts, mlp, shared_expert, vector
from planner.catalog.architectures.body import Body, Parser
from planner.catalog.architectures.decoder import FeedForward, Style, decoder_body
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.model import DenseMlp, MoeMlp


def routed(
    fields: ConfigFields,
    hidden: int,
    width: int,
    *,
    shared_width: int = 0,
    shared_gate: bool = False,
    bias: bool = False,
) -> FeedForward:
    """A mixture-of-experts block, its expert counts read from the file."""
    count = fields.expert_count(
        "num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"
    )
    top_k = fields.count(
        "num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_topk", maximum=count
    )
    block = MoeMlp(count, top_k, width, shared_width)
    tensors: Tensors = experts(hidden, block, bias=bias, router_bias=bias)
    return block, tensors + shared_expert(hidden, shared_width, gate=shared_gate)


def _every_layer(style: Style, fields: ConfigFields, *, bias: bool = False) -> Body:
    hidden = fields.count("hidden_size")
    block = routed(fields, hidden, fields.count("intermediate_size"), bias=bias)
    return decoder_body(fields, style, lambda _index: block)


def _qwen(style: Style, fields: ConfigFields) -> Body:
    hidden = fields.count("hidden_size")
    step = fields.count("decoder_sparse_step", default=1)
    dense_layers = fields.indices("mlp_only_layers")
    shared = fields.count("shared_expert_intermediate_size", default=0, minimum=0)
    sparse = routed(
        fields,
        hidden,
        fields.count("moe_intermediate_size"),
        shared_width=shared,
        shared_gate=True,
    )

    def block(index: int) -> FeedForward:
        if index in dense_layers or (index + 1) % step:
            width = fields.count("intermediate_size")
            return DenseMlp(width), mlp(hidden, width)
        return sparse

    return decoder_body(fields, style, block)


def dense_layers(fields: ConfigFields, count: int) -> list[bool]:
    """Which layers are dense: ``mlp_layer_types``, else the first so many."""
    kinds = fields.items("mlp_layer_types", count)
    if kinds is not None:
        return [kind == "dense" for kind in kinds]
    first = fields.count(
        "first_k_dense_replace",
        "num_dense_layers",
        "moe_layer_start_index",
        default=0,
        minimum=0,
    )
    return [index < first for index in range(count)]


def _leading_dense(style: Style, fields: ConfigFields, *, counted_bias: bool = False) -> Body:
    """Dense layers first, then experts; ``counted_bias``: a correction bias that is a parameter."""
    hidden = fields.count("hidden_size")
    is_dense = dense_layers(fields, fields.layer_count())
    expert_width = fields.count("moe_intermediate_size")
    shared = expert_width * fields.count(
        "n_shared_experts", "num_shared_experts", "moe_num_shared_experts", default=0, minimum=0
    )
    block, tensors = routed(fields, hidden, expert_width, shared_width=shared)
    if counted_bias and isinstance(block, MoeMlp):
        tensors += vector("mlp.expert_bias", "bias", block.experts)

    def feed(index: int) -> FeedForward:
        if not is_dense[index]:
            return block, tensors
        width = fields.count("intermediate_size")
        return DenseMlp(width), mlp(hidden, width)

    return decoder_body(fields, style, feed)


def _beside_shared(style: Style, fields: ConfigFields) -> Body:
    """Every layer has experts of the full width beside a shared feed-forward."""
    hidden = fields.count("hidden_size")
    shared = fields.count("shared_intermediate_size", default=0, minimum=0)
    width = fields.count("intermediate_size")
    block = routed(fields, hidden, width, shared_width=shared)
    return decoder_body(fields, style, lambda _index: block)


def _hunyuan(fields: ConfigFields) -> Body:
    """HunYuan-A13B and larger: counts and widths are listed per layer, and equal."""

    def first(key: str) -> int:
        value = fields.values.get(key)
        listed = value if isinstance(value, list) and value else [value]
        return ConfigFields({key: listed[0]}, fields.where, fields.path).count(key, default=1)

    hidden = fields.count("hidden_size")
    width = first("moe_intermediate_size")
    chosen = fields.override({"num_experts_per_tok": first("moe_topk")})
    block = routed(chosen, hidden, width, shared_width=width * first("num_shared_expert"))
    qk_norm = "head" if fields.flag("use_qk_norm", True) else ""
    style = Style(qk_norm=qk_norm, tied=True)
    return decoder_body(fields, style, lambda _index: block)


def _grok(fields: ConfigFields) -> Body:
    """Grok 1, and Grok 2 with a dense feed-forward beside the experts; four norms a layer."""
    hidden, width = fields.count("hidden_size"), fields.count("intermediate_size")
    beside = width if fields.flag("residual_moe") else 0
    expert_width = fields.count("moe_intermediate_size", default=width)
    block = routed(fields, hidden, expert_width, shared_width=beside)
    return decoder_body(fields, Style(norms=4, tied=not beside), lambda _index: block)


def _llama4(fields: ConfigFields) -> Body:
    hidden = fields.count("hidden_size")
    step = fields.count("interleave_moe_layer_step", default=1)
    width = fields.count("intermediate_size")
    dense_width = fields.count("intermediate_size_mlp")
    dense: FeedForward = (DenseMlp(dense_width), mlp(hidden, dense_width))
    sparse = routed(fields, hidden, width, shared_width=width)
    windows = _chunks(fields, fields.layer_count())
    return decoder_body(fields, Style(), lambda i: dense if (i + 1) % step else sparse, windows)


def _chunks(fields: ConfigFields, count: int) -> list[int | None]:
    """The chunk of every layer [tokens]; every fourth, without rotary embedding, sees all."""
    if not fields.has("attention_chunk_size"):
        return [None] * count
    chunk = fields.count("attention_chunk_size")
    interval = fields.count("no_rope_layer_interval", default=4)
    rotary = fields.items("no_rope_layers") or [(index + 1) % interval for index in range(count)]
    if len(rotary) < count:
        raise fields.error("no_rope_layers", "is too short", len(rotary), f"{count} entries")
    return [chunk if rotary[index] else None for index in range(count)]


PARSERS: dict[str, Parser] = {
    "MixtralForCausalLM": partial(_every_layer, Style()),
    "MiniMaxM2ForCausalLM": partial(_every_layer, Style(qk_norm="full")),
    "PhiMoEForCausalLM": partial(_every_layer, Style(norm_bias=True)),
    "GptOssForCausalLM": partial(
        _every_layer, Style(qkv_bias=True, out_bias=True, sinks=True), bias=True
    ),
    "Qwen2MoeForCausalLM": partial(_qwen, Style(qkv_bias=True, out_bias=False)),
    "Qwen3MoeForCausalLM": partial(_qwen, Style(qk_norm="head")),
    "OlmoeForCausalLM": partial(_every_layer, Style(qk_norm="full")),
    "GraniteMoeForCausalLM": partial(_beside_shared, Style()),
    "GraniteMoeSharedForCausalLM": partial(_beside_shared, Style()),
    "Ernie4_5_MoeForCausalLM": partial(_leading_dense, Style(tied=True), counted_bias=True),
    "ExaoneMoeForCausalLM": partial(
        _leading_dense, Style(qk_norm="head", window_pattern=4, window_default=4096)
    ),
    "SolarOpenForCausalLM": partial(_leading_dense, Style()),
    "HYV3ForCausalLM": partial(_leading_dense, Style(qk_norm="head")),
    "HunYuanMoEV1ForCausalLM": _hunyuan,
    "Grok1ForCausalLM": _grok,
    "Grok1ModelForCausalLM": _grok,
    "Dots1ForCausalLM": partial(_leading_dense, Style(qk_norm="head")),
    "BailingMoeForCausalLM": partial(_leading_dense, Style()),
    "BailingMoeV2ForCausalLM": partial(_leading_dense, Style(optional_qk_norm="head")),
    "DeepseekForCausalLM": partial(_leading_dense, Style()),
    "AfmoeForCausalLM": partial(
        _leading_dense, Style(qk_norm="head", norms=4, output_gate=True), counted_bias=True
    ),
    "Llama4ForCausalLM": _llama4,
    "Glm4MoeForCausalLM": partial(
        _leading_dense, Style(out_bias=False, optional_qk_norm="head", mtp_vocab=True)
    ),
}
