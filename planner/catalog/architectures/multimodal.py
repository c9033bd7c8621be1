"""Multimodal checkpoints: a text model under ``text_config`` beside a vision tower.

The text model decides the sizing; the tower is a part of its own. A file that leaves out
``vision_config`` gets no tower, unless the family ships one shape alone (``always``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from planner.catalog.architectures import (
    decoder,
    deepseek,
    gated_delta,
    gated_heads,
    gemma4,
    kimi_linear,
    minimax_m3,
    mixture,
    vision,
)
from planner.catalog.architectures.blocks import Tensors
from planner.catalog.architectures.body import Body, Parser
from planner.catalog.architectures.fields import ConfigFields

GEMMA3_TEXT_DEFAULTS = {
    "vocab_size": 262_208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131_072,
}
Tower = Callable[[ConfigFields, int], Tensors]


@dataclass(frozen=True, slots=True)
class Multimodal:
    """Reads a checkpoint with a nested text model; callable as a parser."""

    text: Parser
    tower: Tower
    always: bool = False

    def __call__(self, fields: ConfigFields) -> Body:
        text = fields.section("text_config")
        if text is None:
            text = fields
        elif fields.has("tie_word_embeddings"):
            tied = fields.flag("tie_word_embeddings")
            text = text.override({"tie_word_embeddings": tied})
        body = self.text(text)
        section = fields.section("vision_config")
        if section is None and self.always:
            section = ConfigFields({}, fields.where)
        return replace(body, vision=self.tower(section, body.hidden)) if section else body


def gemma3_text(fields: ConfigFields) -> Body:
    """Gemma 3's text model; the published files leave out what equals the class's defaults."""
    return decoder.PARSERS["Gemma3ForCausalLM"](fields.with_defaults(GEMMA3_TEXT_DEFAULTS))


def mistral_text(fields: ConfigFields) -> Body:
    """The text model of a Mistral 3 checkpoint: Mistral, Ministral or the latent-attention kind."""
    if fields.has("kv_lora_rank"):
        return deepseek.latent_decoder(fields)
    return decoder.PARSERS["MistralForCausalLM"](fields)


PARSERS: dict[str, Parser] = {
    "Mistral3ForConditionalGeneration": Multimodal(mistral_text, vision.pixtral),
    "Glm4vForConditionalGeneration": Multimodal(decoder.PARSERS["Glm4ForCausalLM"], vision.glm4v),
    "Glm4vMoeForConditionalGeneration": Multimodal(
        mixture.PARSERS["Glm4MoeForCausalLM"], vision.glm4v
    ),
    "Qwen2VLForConditionalGeneration": Multimodal(
        decoder.PARSERS["Qwen2ForCausalLM"], vision.qwen2
    ),
    "Qwen2_5_VLForConditionalGeneration": Multimodal(
        decoder.PARSERS["Qwen2ForCausalLM"], vision.qwen2
    ),
    "Qwen3VLForConditionalGeneration": Multimodal(
        decoder.PARSERS["Qwen3ForCausalLM"], vision.qwen3
    ),
    "Qwen3VLMoeForConditionalGeneration": Multimodal(
        mixture.PARSERS["Qwen3MoeForCausalLM"], vision.qwen3
    ),
    "Qwen3_5ForConditionalGeneration": Multimodal(
        gated_delta.PARSERS["Qwen3_5ForCausalLM"], vision.qwen3
    ),
    "Qwen3_5MoeForConditionalGeneration": Multimodal(
        gated_delta.PARSERS["Qwen3_5MoeForCausalLM"], vision.qwen3
    ),
    "Llama4ForConditionalGeneration": Multimodal(
        mixture.PARSERS["Llama4ForCausalLM"], vision.llama4
    ),
    "Gemma3ForConditionalGeneration": Multimodal(gemma3_text, vision.siglip),
    "Gemma4ForConditionalGeneration": Multimodal(gemma4.decoder, vision.gemma4),
    "KimiK25ForConditionalGeneration": Multimodal(deepseek.latent_decoder, vision.moonvit),
    "Kimi_K25ForConditionalGeneration": Multimodal(deepseek.latent_decoder, vision.moonvit),
    "KimiVLForConditionalGeneration": Multimodal(deepseek.latent_decoder, vision.moonvit),
    "KimiK3ForConditionalGeneration": Multimodal(
        kimi_linear.PARSERS["KimiK3ForCausalLM"], vision.moonvit
    ),
    "Glm5NextForConditionalGeneration": Multimodal(
        kimi_linear.PARSERS["Glm5NextForCausalLM"], vision.glm4v
    ),
    "MiniMaxM3SparseForConditionalGeneration": Multimodal(minimax_m3.decoder, vision.clip_merged),
    "Step3p7FlashForCausalLM": Multimodal(gated_heads.step, vision.step, always=True),
    "Step3p7ForConditionalGeneration": Multimodal(gated_heads.step, vision.step, always=True),
}
