"""Decoders of the Llama shape whose feed-forward is a mixture of experts in some or all layers.

Sources: the model classes of Hugging Face transformers with the same names.
"""

from __future__ import annotations

from functools import partial

from planner.catalog.architectures.blocks import Tensors, experts, mlp, shared_expert
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
    count = fields.expert_count("num_local_experts", "num_experts", "n_routed_experts")
    top_k = fields.count("num_experts_per_tok", "num_experts_per_token", maximum=max(count, 1))
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
    dense_layers = set(fields.items("mlp_only_layers") or ())
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


def _leading_dense(style: Style, fields: ConfigFields) -> Body:
    hidden = fields.count("hidden_size")
    first = fields.count("first_k_dense_replace", default=0, minimum=0)
    width = fields.count("intermediate_size")
    expert_width = fields.count("moe_intermediate_size")
    shared = expert_width * fields.count("n_shared_experts", default=0, minimum=0)
    dense: FeedForward = (DenseMlp(width), mlp(hidden, width))
    sparse = routed(fields, hidden, expert_width, shared_width=shared)
    return decoder_body(fields, style, lambda index: dense if index < first else sparse)


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
    "Llama4ForCausalLM": _llama4,
    "Glm4MoeForCausalLM": partial(
        _leading_dense, Style(out_bias=False, optional_qk_norm="head", mtp_vocab=True)
    ),
}
