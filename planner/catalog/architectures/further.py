"""Decoders of known parts whose files or layers are their own: Persimmon, Phi-3-small, Aria, Molmo,
MiniCPM-V's text models, TeleChat, Arctic, XVERSE-MoE, Step-3's text model and others.

Sources: the model classes of Hugging Face transformers, vLLM and the models' repositories with the
same names.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from planner.catalog.architectures.blocks import Tensors, attention, layer_norms, linear, mlp, norm
from planner.catalog.architectures.body import Body, Parser
from planner.catalog.architectures.decoder import (
    DENSE_STYLES,
    FeedForward,
    Style,
    decoder_body,
    dense,
)
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.latent.deepseek import latent_decoder
from planner.catalog.architectures.mixture import PARSERS as MIXTURES
from planner.catalog.architectures.mixture import routed
from planner.catalog.model import DenseMlp, Layer, SoftmaxAttention, Tensor

MINICPMV_TEXT = {  # the `version` of MiniCPM-V and -o files decides the text model (vLLM minicpmv.py)
    "2.0": "MiniCPMForCausalLM",
    "2.5": "LlamaForCausalLM",
    "2.6": "Qwen2ForCausalLM",
    "4.0": "LlamaForCausalLM",
    "4": "LlamaForCausalLM",
    "4.5": "Qwen3ForCausalLM",
}


def deepseek_v2(fields: ConfigFields) -> Body:
    """DeepSeek-V2, or the same with plain attention where the file says ``use_mla: false``."""
    if fields.flag("use_mla", True) and fields.has("kv_lora_rank"):
        return latent_decoder(fields)
    heads = fields.count("num_attention_heads")
    hidden = fields.count("hidden_size")
    fields.divides("num_attention_heads", heads, "hidden_size", hidden)
    return MIXTURES["DeepseekForCausalLM"](fields.override({"head_dim": hidden // heads}))


def persimmon(fields: ConfigFields) -> Body:
    """Persimmon and Fuyu: biases everywhere, query and key LayerNorms, two-matrix feed-forwards."""
    style = Style(
        qkv_bias=True, out_bias=True, mlp_bias=True, norm_bias=True, gated=False, qk_norm="head"
    )
    return dense(style, fields)


def phi3_small(fields: ConfigFields) -> Body:
    """Phi-3-small: biases everywhere, LayerNorms, one matrix of gate and value."""
    renamed = {"intermediate_size": fields.count("ff_intermediate_size", "intermediate_size")}
    style = Style(qkv_bias=True, out_bias=True, mlp_bias=True, norm_bias=True, tied=True)
    return dense(style, fields.override(renamed))


def telechat(fields: ConfigFields) -> Body:
    """TeleChat and TeleChat 2: GPT's field names over a Llama decoder; biases on the outputs."""
    heads = fields.count("n_head", "num_attention_heads")
    renamed = {
        "num_hidden_layers": fields.layer_count("n_layer", "num_hidden_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": fields.count("num_key_value_heads", default=heads),
        "intermediate_size": fields.count("ffn_hidden_size", "intermediate_size"),
        "max_position_embeddings": fields.count(
            "seq_length", "max_position_embeddings", default=0, minimum=0
        ),
    }
    return dense(Style(qkv_bias=False, out_bias=True), fields.override(renamed))


def jais(fields: ConfigFields) -> Body:
    """Jais: GPT-2's field names, gated feed-forwards, linear position biases."""
    hidden = fields.count("n_embd", "hidden_size")
    renamed = {
        "hidden_size": hidden,
        "num_hidden_layers": fields.layer_count("n_layer", "num_hidden_layers"),
        "num_attention_heads": fields.count("n_head", "num_attention_heads"),
        "intermediate_size": fields.count("n_inner", "intermediate_size", default=4 * hidden),
    }
    style = Style(qkv_bias=True, out_bias=True, mlp_bias=True, norm_bias=True, tied=True)
    return dense(style, fields.override(renamed))


def aria_text(fields: ConfigFields) -> Body:
    """Aria: experts of the file's feed-forward width in every layer, beside shared ones."""
    width = fields.count("intermediate_size")
    shared = width * fields.count("moe_num_shared_experts", default=2, minimum=0)
    chosen = fields.with_defaults({"moe_num_experts": 8, "moe_topk": 2})
    block = routed(chosen, fields.count("hidden_size"), width, shared_width=shared)
    return decoder_body(fields, Style(), lambda _index: block)


def xverse_moe(fields: ConfigFields) -> Body:
    """XVERSE-MoE: experts of the file's feed-forward width beside shared ones."""
    width = fields.count("intermediate_size")
    shared = width * fields.count("num_shared_experts", default=0, minimum=0)
    chosen = fields.override(
        {"num_experts_per_tok": fields.count("moe_top_k", "num_experts_per_tok")}
    )
    block = routed(chosen, fields.count("hidden_size"), width, shared_width=shared)
    return decoder_body(fields, Style(), lambda _index: block)


def flex_olmo(fields: ConfigFields) -> Body:
    """FlexOlmo: OLMo 2's norms, experts of the file's feed-forward width in every layer."""
    block = routed(fields, fields.count("hidden_size"), fields.count("intermediate_size"))
    return decoder_body(fields, Style(qk_norm="full"), lambda _index: block)


def arctic(fields: ConfigFields) -> Body:
    """Snowflake Arctic: every second layer has experts beside a dense residual feed-forward."""
    hidden, width = fields.count("hidden_size"), fields.count("intermediate_size")
    every = fields.count("moe_layer_frequency", default=2)
    chosen = fields.with_defaults({"num_experts_per_tok": 2})
    beside = hidden if fields.flag("parallel_attn_mlp_res", True) else 0
    sparse = routed(chosen, hidden, width, shared_width=beside)
    dense_block: FeedForward = (DenseMlp(width), mlp(hidden, width))
    return decoder_body(fields, Style(), lambda i: dense_block if (i + 1) % every else sparse)


def ernie_vl_moe(fields: ConfigFields) -> Body:
    """ERNIE 4.5 VL: text experts and a second, narrower set for image tokens, which text never visits."""

    def first(key: str, index: int = 0) -> int:
        value = fields.values.get(key)
        listed = value if isinstance(value, list) and value else [value]
        chosen = listed[index] if index < len(listed) else listed[0]
        return ConfigFields({key: chosen}, fields.where, fields.path).count(key, minimum=0)

    hidden = fields.count("hidden_size")
    count, dense_first = fields.layer_count(), first("moe_layer_start_index")
    width = first("moe_intermediate_size")
    shared = width * fields.count("moe_num_shared_experts", default=0, minimum=0)
    chosen = fields.override({"moe_num_experts": first("moe_num_experts")})
    sparse = routed(chosen.with_defaults({"moe_k": 6}), hidden, width, shared_width=shared)
    dense_width = fields.count("intermediate_size")
    dense_block: FeedForward = (DenseMlp(dense_width), mlp(hidden, dense_width))
    body = decoder_body(
        fields, Style(tied=True), lambda i: dense_block if i < dense_first else sparse
    )
    copies = 3 * first("moe_num_experts", 1) * max(0, count - dense_first)
    narrow = first("moe_intermediate_size", 1)
    images = Tensor("visual.experts.attn.weight", "vision", narrow, hidden, max(1, copies), "split")
    return replace(body, vision=(images,))


def chameleon(fields: ConfigFields) -> Body:
    """Chameleon: Llama with a LayerNorm on the channels of every query and key head."""
    return dense(Style(qk_norm="full", norms=2), fields)


def molmo_text(fields: ConfigFields) -> Body:
    """Molmo: the file's feed-forward width is gate and up together; extra rows for image tokens."""
    extra = fields.count("additional_vocab_size", default=128, minimum=0)
    renamed = {
        "intermediate_size": fields.count("intermediate_size") // 2,
        "vocab_size": fields.count("embedding_size", "vocab_size"),
    }
    qk_norm = "full" if fields.flag("attention_layer_norm") else ""
    style = Style(
        qkv_bias=fields.flag("qkv_bias", True), out_bias=False, mlp_bias=False, qk_norm=qk_norm
    )
    body = dense(style, fields.override(renamed))
    if not extra:
        return body
    more = Tensor("embed_tokens.extra", "embedding", extra, body.hidden, 1, "replicated")
    return replace(body, outer=(*body.outer, more))


def molmo2_text(fields: ConfigFields) -> Body:
    """Molmo 2: Qwen3's or OLMo's decoder by ``use_qk_norm`` and ``qk_norm_type``."""
    kind = "head" if fields.text("qk_norm_type") == "qwen3" else "full"
    qk_norm = kind if fields.flag("use_qk_norm") else ""
    style = Style(qkv_bias=fields.flag("qkv_bias"), out_bias=False, qk_norm=qk_norm)
    return dense(style, fields)


def minicpmv_text(fields: ConfigFields) -> Body:
    """MiniCPM-V and -o: the file's ``version`` decides the text model."""
    version = fields.values.get("version", "2.6")
    name = MINICPMV_TEXT.get(str(version))
    if name is None:
        raise fields.error("version", "is not known", version, ", ".join(MINICPMV_TEXT))
    return dense(DENSE_STYLES[name], fields)


def step3_text(fields: ConfigFields) -> Body:
    """Step-3: a low-rank shared query, one KV head of the whole width, experts in listed layers."""
    hidden = fields.count("hidden_size")
    heads, head_dim = fields.count("num_attention_heads"), fields.count("head_dim")
    groups = fields.count("num_attention_groups", default=1)
    rank = fields.count("share_q_dim", default=2048)
    projections: Tensors = tuple(
        replace(t, cols=rank) if t.name == "self_attn.q_proj.weight" else t
        for t in attention(hidden, heads, groups, head_dim)
    )
    projections += linear("self_attn.q_a_proj", "attention", rank, hidden, shard="replicated")
    projections += norm("self_attn.inter_norm", rank)
    projections += layer_norms(hidden)
    width = fields.count("intermediate_size")
    shared = fields.count("share_expert_dim", default=0, minimum=0)
    chosen = fields.with_defaults({"moe_topk": fields.values.get("moe_top_k")})
    sparse = routed(chosen, hidden, fields.count("moe_intermediate_size"), shared_width=shared)
    plain: FeedForward = (DenseMlp(width), mlp(hidden, width))
    listed = fields.values.get("moe_layers_enum")
    chosen_layers = (
        {int(part) for part in listed.split(",") if part.strip().isdigit()}
        if isinstance(listed, str)
        else fields.indices("moe_layers_enum")
    )
    body = decoder_body(fields.override({"num_key_value_heads": groups}), Style(), lambda _i: plain)
    mixer = SoftmaxAttention(heads, groups, head_dim, head_dim)
    sparse_layer = Layer(mixer, sparse[0], projections + sparse[1])
    plain_layer = Layer(mixer, plain[0], projections + plain[1])
    layers = tuple(
        sparse_layer if index in chosen_layers else plain_layer for index in range(len(body.layers))
    )
    return replace(body, layers=layers)


def looped(style: Style, fields: ConfigFields) -> Body:
    """Ouro, Nanbeige, IQuest Loop Coder: the same layers run several times, each with its own cache."""
    body = dense(style, fields)
    default = 1 if style.norms == 2 else 4
    loops = fields.count("total_ut_steps", "num_loops", "loop_num", default=default, maximum=16)
    bare = tuple(replace(layer, tensors=()) for layer in body.layers)
    note = f"its {len(body.layers)} layers run {loops} times a token; their work counts once"
    return replace(body, layers=body.layers + bare * (loops - 1), note=note if loops > 1 else "")


def plamo3(fields: ConfigFields) -> Body:
    """PLaMo 3: four norms a layer, windows listed layer by layer."""
    count = fields.layer_count()
    listed = fields.items("interleaved_sliding_window", count)
    style = Style(norms=4, qk_norm="head", tied=True)
    if listed is None:
        return dense(style, fields)
    window = fields.count("sliding_window", "window_size", default=2048)
    kinds = ["sliding_attention" if value else "full_attention" for value in listed]
    return dense(style, fields.override({"layer_types": kinds, "sliding_window": window}))


PARSERS: dict[str, Parser] = {
    "DeepseekV2ForCausalLM": deepseek_v2,
    "PersimmonForCausalLM": persimmon,
    "Phi3SmallForCausalLM": phi3_small,
    "TeleChat2ForCausalLM": telechat,
    "JAISLMHeadModel": jais,
    "AriaTextForCausalLM": aria_text,
    "XverseMoeForCausalLM": xverse_moe,
    "FlexOlmoForCausalLM": flex_olmo,
    "ArcticForCausalLM": arctic,
    "Ernie4_5_VLMoeForCausalLM": ernie_vl_moe,
    "ChameleonForCausalLM": chameleon,
    "MolmoTextForCausalLM": molmo_text,
    "Molmo2TextForCausalLM": molmo2_text,
    "MiniCPMVTextForCausalLM": minicpmv_text,
    "Step3TextForCausalLM": step3_text,
    "OuroForCausalLM": partial(looped, Style(norms=4)),
    "NanbeigeForCausalLM": partial(looped, Style()),
    "IQuestLoopCoderForCausalLM": partial(looped, Style()),
    "Plamo3ForCausalLM": plamo3,
    "OrionForCausalLM": partial(dense, Style(norm_bias=True)),
    "VaultGemmaForCausalLM": partial(dense, Style(tied=True, window_pattern=2, window_default=512)),
    "Jais2ForCausalLM": partial(
        dense,
        Style(qkv_bias=True, out_bias=True, mlp_bias=True, norm_bias=True, gated=False),
    ),
}
