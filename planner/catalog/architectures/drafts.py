"""Draft models of speculative decoding: EAGLE, EAGLE-3, DFlash, Medusa and multi-token prediction.

A draft shares embedding and head with its target unless its file says otherwise; EAGLE-3 has a head
over a smaller vocabulary. Sources: EAGLE (arXiv 2401.15077), EAGLE-3 (arXiv 2503.01840), Medusa
(arXiv 2401.10774), DeepSeek-V3 (arXiv 2412.19437, section 2.2), and vLLM's draft model classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.catalog.architectures.blocks import Tensors, head, linear, norm
from planner.catalog.architectures.body import Body, Parser
from planner.catalog.architectures.decoder import DENSE_STYLES, dense
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.latent.deepseek import latent_decoder
from planner.catalog.model import Layer, Tensor

TARGET_STATES = 3  # EAGLE-3 joins the states of three of the target's layers
MTP_SUFFIXES = ("ForCausalLMNextN", "ForCausalLMMTP", "MTPModel", "MTP")


def _widened(layer: Layer, hidden: int) -> Layer:
    """The layer with queries, keys and values that read embedding and state side by side."""
    reading = (
        "q_proj.weight",
        "k_proj.weight",
        "v_proj.weight",
        "q_a_proj.weight",
        "kv_a_proj_with_mqa.weight",
    )
    tensors = tuple(
        replace(t, cols=2 * hidden) if t.name.endswith(reading) and t.cols == hidden else t
        for t in layer.tensors
    )
    return replace(layer, tensors=tensors + norm("hidden_norm", hidden))


def _body(fields: ConfigFields) -> Body:
    if fields.has("kv_lora_rank"):
        return latent_decoder(fields)
    style = "Qwen3ForCausalLM" if fields.text("model_type") == "qwen3" else "LlamaForCausalLM"
    return dense(DENSE_STYLES[style], fields)


def eagle3(fields: ConfigFields) -> Body:
    """EAGLE-3: three target states joined, the first layer's projections twice as wide, an own head."""
    body = _body(fields)
    target = fields.count("target_hidden_size", default=body.hidden)
    section = fields.section("eagle_config")
    listed = section.items("eagle_aux_hidden_state_layer_ids") if section else None
    states = len(listed) if listed else TARGET_STATES
    first, *others = body.layers
    vocab = fields.count("draft_vocab_size", default=body.vocab)
    outer: Tensors = linear("fc", "attention", body.hidden, states * target, shard="replicated")
    outer += norm("norm", body.hidden) + head(vocab, body.hidden, tied=False)
    if fields.flag("fc_norm"):
        outer += norm("fc_norm", states * target)
    return replace(
        body, layers=(_widened(first, body.hidden), *others), outer=outer, tied=True, vision=()
    )


def eagle(fields: ConfigFields) -> Body:
    """EAGLE: embedding and state joined in one projection; embedding and head are the target's."""
    body = _body(fields)
    fused = linear(
        "fc",
        "attention",
        body.hidden,
        2 * body.hidden,
        shard="replicated",
        bias=fields.flag("bias"),
    )
    return replace(body, outer=fused, tied=True)


def dflash(fields: ConfigFields) -> Body:
    """DFlash: target states joined, a few Qwen3 layers that draft a block at once."""
    body = dense(DENSE_STYLES["Qwen3ForCausalLM"], fields)
    section = fields.section("dflash_config") or fields
    listed = section.items("target_layer_ids") or [None] * len(body.layers)
    outer = linear("fc", "attention", body.hidden, len(listed) * body.hidden, shard="replicated")
    outer += norm("hidden_norm", body.hidden) + norm("norm", body.hidden)
    return replace(body, outer=outer, tied=True)


def medusa(fields: ConfigFields) -> Body:
    """Medusa: residual blocks and a head for each position ahead."""
    hidden, vocab = fields.count("hidden_size"), fields.count("vocab_size")
    heads = fields.count("num_heads", "medusa_num_heads", maximum=64)
    depth = fields.count("num_hidden_layers", "medusa_num_layers", default=1, maximum=64)
    rows = fields.count("truncated_vocab_size", default=vocab)
    blocks = linear(
        "blocks",
        "attention",
        hidden,
        hidden,
        shard="replicated",
        bias=fields.flag("medusa_fc_bias"),
    )
    heads_tensor = Tensor("lm_heads.weight", "head", rows, hidden, heads, "vocab")
    layer = Layer(None, None, blocks * heads)
    return Body(
        hidden=hidden, vocab=vocab, tied=True, layers=(layer,) * depth, outer=(heads_tensor,)
    )


def next_token_module(base: Parser, fields: ConfigFields) -> Body:
    """A multi-token-prediction module loaded apart: one of the base's layers and what joins it."""
    body = base(fields)
    hidden = body.hidden
    outer = linear("eh_proj", "mtp", hidden, 2 * hidden, shard="replicated")
    for name in ("enorm", "hnorm", "norm"):
        outer += norm(name, hidden)
    return replace(body, layers=body.layers[-1:], outer=outer, mtp=(), tied=True, vision=())


def mtp_base(name: str, parsers: Mapping[str, Parser]) -> Parser | None:
    """The base class's parser, for a class that names a prediction module."""
    by_stem = {known.lower(): known for known in parsers}
    for suffix in MTP_SUFFIXES:
        if name.endswith(suffix):
            stem = name.removesuffix(suffix).removesuffix("ForConditionalGeneration")
            for base in (stem + "ForCausalLM", stem + "ForConditionalGeneration"):
                found = by_stem.get(base.lower())
                if found is not None:
                    return parsers[found]
    return None


PARSERS: dict[str, Parser] = {
    "Eagle3LlamaForCausalLM": eagle3,
    "EagleLlamaForCausalLM": eagle,
    "DFlashDraftModel": dflash,
    "MedusaModel": medusa,
}
