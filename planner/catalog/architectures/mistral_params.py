"""Mistral's own ``params.json``: the fields of the matching ``config.json``, under other names.

Sources: vLLM ``transformers_utils/configs/mistral.py`` and the files of mistralai's repositories.
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.catalog.architectures.fields import ConfigFields

NAMES = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "hidden_dim": "intermediate_size",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "norm_eps": "rms_norm_eps",
    "tied_embeddings": "tie_word_embeddings",
    "max_seq_len": "max_position_embeddings",
}
MOE_NAMES = {
    "num_experts_per_tok": "num_experts_per_tok",
    "num_experts": "num_experts",
    "expert_hidden_dim": "moe_intermediate_size",
    "num_shared_experts": "n_shared_experts",
    "first_k_dense_replace": "first_k_dense_replace",
}
FULL_CONTEXT = 128_000  # vLLM's own default where the file gives none
FORMATS = {"fp8_e4m3": "fp8", "fp8": "fp8", "nvfp4": "nvfp4"}


def is_params(config: Mapping[str, object]) -> bool:
    """Whether the mapping is a ``params.json``."""
    return "dim" in config and "n_layers" in config and "architectures" not in config


def from_params(config: Mapping[str, object], where: str) -> dict[str, object]:
    """The mapping of a ``config.json`` that says the same."""
    fields = ConfigFields(config, where)
    found = {NAMES.get(key, key): value for key, value in config.items()}
    found.setdefault("max_position_embeddings", FULL_CONTEXT)
    found["architectures"] = [_class(fields)]
    found["dtype"] = "bfloat16"
    moe = fields.section("moe")
    if moe is not None:
        for key, name in MOE_NAMES.items():
            if moe.has(key):
                found[name] = moe.values[key]
        found.setdefault("moe_intermediate_size", config.get("hidden_dim"))
    vision = fields.section("vision_encoder")
    if vision is not None:
        found["vision_config"] = {**vision.values, "model_type": "pixtral"}
    whisper = fields.section("multimodal")
    whisper = whisper.section("whisper_model_args") if whisper else None
    encoder = whisper.section("encoder_args") if whisper else None
    if encoder is not None:
        found["audio_config"] = _audio(encoder)
    quantised = _quantisation(fields)
    return {**found, "quantization_config": quantised} if quantised else found


def _class(fields: ConfigFields) -> str:
    if fields.has("vision_encoder"):
        return "PixtralForConditionalGeneration"
    if fields.has("multimodal"):
        return "VoxtralForConditionalGeneration"
    if fields.has("kv_lora_rank"):
        return "MistralLarge3ForCausalLM"
    return "MixtralForCausalLM" if fields.has("moe") else "MistralForCausalLM"


def _audio(encoder: ConfigFields) -> dict[str, object]:
    audio = encoder.section("audio_encoding_args")
    bins = audio.values.get("num_mel_bins") if audio else None
    return {
        "model_type": "voxtral_encoder",
        "hidden_size": encoder.values.get("dim"),
        "num_hidden_layers": encoder.values.get("n_layers"),
        "intermediate_size": encoder.values.get("hidden_dim"),
        "num_attention_heads": encoder.values.get("n_heads"),
        "num_mel_bins": bins,
    }


def _quantisation(fields: ConfigFields) -> dict[str, object] | None:
    """Mistral's section, as the compressed-tensors or FP8 one that vLLM makes of it."""
    section = fields.section("quantization") or fields.section("quantization_config")
    if section is None:
        return None
    written = section.text("qformat_weight")
    if section.has("quant_method") or section.has("config_groups"):
        return dict(section.values)
    if FORMATS.get(written) == "fp8":
        return {"quant_method": "fp8", "activation_scheme": "static"}
    raise section.error("qformat_weight", "is not known", written, ", ".join(FORMATS))
