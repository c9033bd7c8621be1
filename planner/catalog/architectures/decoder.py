"""Decoders of the Llama shape: attention, feed-forward, two or four norms a layer.

Families differ in biases, query/key norms and windows; a ``Style`` row says how. Sources are the model
classes of Hugging Face transformers with the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from planner.catalog.architectures.blocks import Tensors, attention, linear, mlp, norm, vector
from planner.catalog.architectures.body import (
    Body,
    Parser,
    attention_shape,
    attention_windows,
    context_length,
    mtp_modules,
    outer_tensors,
    rope_table_values,
    shared_layers,
)
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.model import DenseMlp, Layer, MoeMlp, SoftmaxAttention

BIAS_KEYS = ("attention_bias", "use_bias", "use_qkv_bias", "qkv_bias", "bias")
FeedForward = tuple[DenseMlp | MoeMlp, Tensors]


@dataclass(frozen=True, slots=True)
class Style:
    """How a family departs from Llama.

    ``qkv_bias``/``out_bias``: None reads ``attention_bias`` from the file. ``qk_norm``: "head" (one
    weight per head channel), "full" (per projected channel) or "" (none); ``optional_qk_norm``: the
    same, where the file's ``use_qk_norm`` asks for it. ``norms``: per layer, of the hidden width;
    ``norm_bias``: LayerNorms. ``sinks``: one learned logit a head. ``tied``: the default of
    ``tie_word_embeddings``. ``window_pattern``: every n-th layer sees all tokens; ``window_default``:
    the others' window where the file gives none. ``mtp_vocab``: MTP modules carry copies of
    embedding and head. ``gated``: three-matrix feed-forwards; ``final_norm``: a norm with weights
    before the head; ``layer_scalars``: learned scalars of the activation, per layer;
    ``output_gate``: attention multiplies its output with a projection of its input.
    """

    qkv_bias: bool | None = None
    out_bias: bool | None = None
    qk_norm: str = ""
    optional_qk_norm: str = ""
    norms: int = 2
    norm_bias: bool = False
    mlp_bias: bool | None = None
    sinks: bool = False
    tied: bool = False
    window_pattern: int = 0
    window_default: int = 0
    mtp_vocab: bool = False
    gated: bool = True
    final_norm: bool = True
    layer_scalars: int = 0
    output_gate: bool = False


def standard_mixer(
    fields: ConfigFields, style: Style, hidden: int, window: int | None
) -> tuple[SoftmaxAttention, Tensors]:
    """Attention of one layer with its query/key norms and sinks."""
    heads, kv_heads, head_dim = attention_shape(fields, hidden)
    default_bias = any(fields.flag(key) for key in BIAS_KEYS)
    qkv_bias = default_bias if style.qkv_bias is None else style.qkv_bias
    out_bias = default_bias if style.out_bias is None else style.out_bias
    tensors = attention(hidden, heads, kv_heads, head_dim, qkv_bias=qkv_bias, out_bias=out_bias)
    if fields.flag("use_qk_norm") and not style.qk_norm:
        style = replace(style, qk_norm=style.optional_qk_norm)
    if style.qk_norm == "head":
        tensors += norm("self_attn.q_norm", head_dim) + norm("self_attn.k_norm", head_dim)
    elif style.qk_norm == "full":
        tensors += norm("self_attn.q_norm", heads * head_dim)
        tensors += norm("self_attn.k_norm", kv_heads * head_dim)
    if style.output_gate:
        rows = heads * head_dim
        tensors += linear("self_attn.gate_proj", "attention", rows, hidden, parts=heads)
    if style.sinks:
        tensors += vector("self_attn.sinks", "norm", heads, shard="split")
    return SoftmaxAttention(heads, kv_heads, head_dim, head_dim, window), tensors


def _windows(fields: ConfigFields, style: Style, count: int) -> list[int | None]:
    pattern = fields.count("sliding_window_pattern", default=style.window_pattern, minimum=0)
    if pattern and style.window_pattern and not fields.has("sliding_window"):
        default = style.window_default
        return [None if (index + 1) % pattern == 0 else default for index in range(count)]
    return attention_windows(fields, count, pattern=pattern)


def decoder_body(
    fields: ConfigFields,
    style: Style,
    feed_forward: Callable[[int], FeedForward],
    windows: Sequence[int | None] | None = None,
) -> Body:
    """A whole model whose layer ``i`` has the feed-forward ``feed_forward(i)``.

    ``windows``: of every layer, where the family has its own way of writing them.
    """
    hidden = fields.count("hidden_size")
    vocab = fields.count("vocab_size")
    count = fields.layer_count()
    if windows is None:
        windows = _windows(fields, style, count)
    norms: Tensors = ()
    for index in range(style.norms):
        norms += norm(f"layernorm_{index}", hidden, bias=style.norm_bias)
    if style.layer_scalars:
        norms += vector("mlp.act_fn", "norm", style.layer_scalars)

    def layer(index: int) -> Layer:
        mixer, tensors = standard_mixer(fields, style, hidden, windows[index])
        block, block_tensors = feed_forward(index)
        return Layer(mixer, block, tensors + block_tensors + norms)

    tied = fields.flag("tie_word_embeddings", style.tied)
    modules = fields.count("num_nextn_predict_layers", default=0, minimum=0, maximum=64)
    head_dim = attention_shape(fields, hidden)[2]
    return Body(
        hidden=hidden,
        vocab=vocab,
        tied=tied,
        layers=shared_layers(count, layer),
        outer=outer_tensors(
            hidden,
            vocab,
            tied=tied,
            norm_bias=style.norm_bias,
            head_bias=fields.flag("lm_head_bias"),
            final_norm=style.final_norm,
        ),
        mtp=mtp_modules(
            modules, layer(count - 1).tensors, hidden, vocab, own_vocab=style.mtp_vocab
        ),
        max_context_tokens=context_length(fields),
        rope_values=rope_table_values(fields, head_dim),
    )


def dense(style: Style, fields: ConfigFields) -> Body:
    """A dense decoder of the given style."""
    hidden = fields.count("hidden_size")
    width = fields.count("intermediate_size")
    bias = fields.flag("mlp_bias") if style.mlp_bias is None else style.mlp_bias
    block: FeedForward = (
        DenseMlp(width, style.gated),
        mlp(hidden, width, gated=style.gated, bias=bias),
    )
    return decoder_body(fields, style, lambda _index: block)


GEMMA = Style(tied=True)
DENSE_STYLES = {
    "LlamaForCausalLM": Style(),
    "MistralForCausalLM": Style(),
    "Qwen2ForCausalLM": Style(qkv_bias=True, out_bias=False),
    "Qwen3ForCausalLM": Style(qk_norm="head"),
    "MiMoForCausalLM": Style(qkv_bias=True, out_bias=False),
    "SmolLM3ForCausalLM": Style(tied=True),
    "Phi3ForCausalLM": Style(),
    "Olmo2ForCausalLM": Style(qk_norm="full"),
    "Olmo3ForCausalLM": Style(qk_norm="full", window_pattern=4, window_default=4096),
    "OlmoForCausalLM": Style(norms=0, final_norm=False),
    "GraniteForCausalLM": Style(),
    "Ministral3ForCausalLM": Style(),
    "YiForCausalLM": Style(),
    "InternLMForCausalLM": Style(),
    "InternLM2ForCausalLM": Style(),
    "BaichuanForCausalLM": Style(),
    "XverseForCausalLM": Style(),
    "AquilaForCausalLM": Style(),
    "CwmForCausalLM": Style(),
    "HeliumForCausalLM": Style(),
    "MiniCPMForCausalLM": Style(tied=True),
    "Ernie4_5ForCausalLM": Style(tied=True),
    "Ernie4_5_ForCausalLM": Style(tied=True),
    "ApertusForCausalLM": Style(qk_norm="head", gated=False, layer_scalars=2),
    "ArceeForCausalLM": Style(gated=False),
    "NemotronForCausalLM": Style(gated=False, norm_bias=True),
    "Exaone4ForCausalLM": Style(qk_norm="head", window_pattern=4, window_default=4096),
    "HyperCLOVAXForCausalLM": Style(norms=4),
    "HunYuanDenseV1ForCausalLM": Style(qk_norm="head", out_bias=False),
    "StableLmForCausalLM": Style(norm_bias=True, out_bias=False),
    "StableLMEpochForCausalLM": Style(norm_bias=True, out_bias=False),
    "Glm4ForCausalLM": Style(norms=4, out_bias=False),
    "GlmForCausalLM": Style(out_bias=False),
    "SeedOssForCausalLM": Style(out_bias=False),
    "InternLM3ForCausalLM": Style(),
    "GemmaForCausalLM": GEMMA,
    "Gemma2ForCausalLM": Style(norms=4, tied=True, window_pattern=2, window_default=4096),
    "Gemma3ForCausalLM": Style(
        norms=4, qk_norm="head", tied=True, window_pattern=6, window_default=4096
    ),
    "CohereForCausalLM": Style(norms=1, tied=True, optional_qk_norm="full"),
    "Cohere2ForCausalLM": Style(norms=1, tied=True, window_pattern=4, window_default=4096),
}
PARSERS: dict[str, Parser] = {name: partial(dense, style) for name, style in DENSE_STYLES.items()}
