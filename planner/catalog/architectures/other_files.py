"""JSON files of a checkpoint's folder that are no model configuration, named as what they are."""

from __future__ import annotations

from collections.abc import Mapping

from planner.errors import InputError

ALLOWED = "a config.json of a known architecture, or Mistral's params.json"
_BESIDE = "give config.json, in the same folder"
_KINDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("peft_type",),
        "the configuration of an adapter (PEFT)",
        "size its base model{base}; a scenario counts adapters under lora",
    ),
    (("weight_map",), "the index of a checkpoint's files", _BESIDE),
    (("tokenizer_class",), "a tokenizer's configuration", _BESIDE),
    (("added_tokens_decoder",), "a tokenizer's configuration", _BESIDE),
    (("eos_token_id", "do_sample"), "a generation configuration", _BESIDE),
    (("image_processor_type",), "a processor's configuration", _BESIDE),
    (("_diffusers_version",), "a diffusion pipeline, which the planner does not size", ""),
    (("max_seq_length", "do_lower_case"), "a module of sentence-transformers", _BESIDE),
    (("producer", "quantization"), "ModelOpt's quantisation alone", _BESIDE),
)


def no_config(content: Mapping[str, object], where: str) -> InputError:
    """The complaint about a mapping that names no architecture."""
    for keys, what, action in _KINDS:
        if all(key in content for key in keys):
            base = content.get("base_model_name_or_path")
            named = f", {base}" if isinstance(base, str) and len(base) < 200 else ""
            return InputError(
                f"this is {what}",
                where=where,
                allowed=ALLOWED,
                action=action.format(base=named) or None,
            )
    return InputError(
        "neither `architectures` nor `model_type` is set", where=where, allowed=ALLOWED
    )
