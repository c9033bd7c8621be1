"""Multimodal checkpoints: a text model under ``text_config`` beside a vision tower.

The text model decides the sizing; the tower is a part of its own. A file that leaves out
``vision_config`` gets no tower, unless the family ships one shape alone (``always``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from planner.catalog.architectures import decoder, gated_heads, gemma4, minimax_m3, mixture
from planner.catalog.architectures.blocks import Tensors
from planner.catalog.architectures.body import Body, Parser
from planner.catalog.architectures.class_table import with_class_defaults
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.latent import deepseek
from planner.catalog.architectures.multimodal import vision
from planner.catalog.architectures.recurrent import gated_delta, kimi_linear

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
        body = self.text(text if text is fields else with_class_defaults(text))
        section = fields.section("vision_config")
        if section is None and self.always:
            section = ConfigFields({}, fields.where)
        if section is None:
            return body
        return replace(body, vision=self.tower(with_class_defaults(section), body.hidden))


TEXT: dict[str, Parser] = {
    name: parser
    for family in (decoder, mixture, gated_delta, kimi_linear)
    for name, parser in family.PARSERS.items()
}


def mistral_text(fields: ConfigFields) -> Body:
    """The text model of a Mistral 3 checkpoint: Mistral, Ministral or the latent-attention kind."""
    if fields.has("kv_lora_rank"):
        return deepseek.latent_decoder(fields)
    return TEXT["MistralForCausalLM"](fields)


PARSERS: dict[str, Parser] = {
    "Mistral3ForConditionalGeneration": Multimodal(mistral_text, vision.pixtral),
    "Glm4vForConditionalGeneration": Multimodal(TEXT["Glm4ForCausalLM"], vision.glm4v),
    "Glm4vMoeForConditionalGeneration": Multimodal(TEXT["Glm4MoeForCausalLM"], vision.glm4v),
    "Qwen2VLForConditionalGeneration": Multimodal(TEXT["Qwen2ForCausalLM"], vision.qwen2),
    "Qwen2_5_VLForConditionalGeneration": Multimodal(TEXT["Qwen2ForCausalLM"], vision.qwen2),
    "Qwen3VLForConditionalGeneration": Multimodal(TEXT["Qwen3ForCausalLM"], vision.qwen3),
    "Qwen3VLMoeForConditionalGeneration": Multimodal(TEXT["Qwen3MoeForCausalLM"], vision.qwen3),
    "Qwen3_5ForConditionalGeneration": Multimodal(TEXT["Qwen3_5ForCausalLM"], vision.qwen3),
    "Qwen3_5MoeForConditionalGeneration": Multimodal(TEXT["Qwen3_5MoeForCausalLM"], vision.qwen3),
    "Llama4ForConditionalGeneration": Multimodal(TEXT["Llama4ForCausalLM"], vision.llama4),
    "Gemma3ForConditionalGeneration": Multimodal(TEXT["Gemma3ForCausalLM"], vision.siglip),
    "Gemma4ForConditionalGeneration": Multimodal(gemma4.decoder, vision.gemma4),
    "KimiK25ForConditionalGeneration": Multimodal(deepseek.latent_decoder, vision.moonvit),
    "Kimi_K25ForConditionalGeneration": Multimodal(deepseek.latent_decoder, vision.moonvit),
    "KimiVLForConditionalGeneration": Multimodal(deepseek.latent_decoder, vision.moonvit),
    "KimiK3ForConditionalGeneration": Multimodal(TEXT["KimiK3ForCausalLM"], vision.moonvit),
    "Glm5NextForConditionalGeneration": Multimodal(TEXT["Glm5NextForCausalLM"], vision.glm4v),
    "MiniMaxM3SparseForConditionalGeneration": Multimodal(minimax_m3.decoder, vision.clip_merged),
    "Step3p7FlashForCausalLM": Multimodal(gated_heads.step, vision.step, always=True),
    "Step3p7ForConditionalGeneration": Multimodal(gated_heads.step, vision.step, always=True),
}
