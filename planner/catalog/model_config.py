"""From any ``config.json`` of a known architecture to a ModelSpec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.catalog.architectures import decoder
from planner.catalog.architectures.body import Parser
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.mistral_params import from_params, is_params
from planner.catalog.architectures.other_files import no_config
from planner.catalog.model import ModelSpec
from planner.catalog.quantization.config import read_quantization
from planner.errors import InputError, in_words, nearest

INLINE = (
    "describe it inline in a scenario: model: {layers: 32, hidden: 4096, heads: 32, kv_heads: 8, "
    "intermediate: 14336, vocab: 128256}"
)
# Where files keep the text model, for what they say of its number formats.
TEXT_SECTIONS = (
    "text_config",
    "llm_config",
    "language_config",
    "thinker_config.text_config",
    "thinker_config",
)
DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "bf16"}


def parse_config(config: Mapping[str, object], name: str, where: str) -> ModelSpec:
    """Return the model that ``config`` describes.

    ``name`` labels it, ``where`` is the file (or whatever the user gave) for messages. Raises
    InputError when the architecture is unknown or a field is missing or absurd.
    """
    if not isinstance(config, Mapping):
        raise InputError("a model configuration is a mapping", where=where, found=in_words(config))
    if is_params(config):
        config = from_params(config, where)
    fields = ConfigFields(config, where)
    architecture, parser = _architecture(fields)
    body = parser(fields)
    nested = [section for name in TEXT_SECTIONS if (section := fields.section_at(name))]
    written = [f.text(key) for f in (fields, *nested) for key in ("torch_dtype", "dtype")]
    dtype = DTYPES.get(next(filter(None, written), ""), "bf16")
    holder = next((f for f in (fields, *nested) if f.has("quantization_config")), fields)
    stored = read_quantization(holder, body.layers, dtype)
    mtp = body.mtp
    if dict(stored.classes).get("mtp") == dtype:
        mtp = tuple(replace(tensor, klass="mtp") for tensor in mtp)
    return ModelSpec(
        name=name,
        architecture=architecture,
        hidden_size=body.hidden,
        vocab_size=body.vocab,
        tied_embeddings=body.tied,
        layers=stored.layers,
        outer=body.outer,
        mtp=mtp,
        vision=body.vision,
        max_context_tokens=body.max_context_tokens,
        dtype=dtype,
        native_weights=stored.weights,
        native_classes=stored.classes,
        native_kv=stored.kv,
        rope_values=body.rope_values,
        note=body.note,
        head=body.head,
    )


def _architecture(fields: ConfigFields) -> tuple[str, Parser]:
    """The class a file names, and its parser; a plain decoder's without loading all others."""
    listed = fields.items("architectures") or ()
    first = listed[0] if listed else None
    if isinstance(first, str) and first in decoder.PARSERS:
        return first, decoder.PARSERS[first]
    from planner.catalog.architectures.registry import BY_MODEL_TYPE, PARSERS, named_parser

    model_type = fields.text("model_type")
    for candidate in listed:
        found_parser = named_parser(candidate) if isinstance(candidate, str) else None
        if found_parser is not None:
            return found_parser
    if not listed and model_type in BY_MODEL_TYPE:
        name = BY_MODEL_TYPE[model_type]
        return name, PARSERS[name]
    found = listed[0] if listed else model_type
    if not found:
        raise no_config(fields.values, fields.where)
    known = list(PARSERS) if listed else list(BY_MODEL_TYPE)
    raise InputError(
        f"unknown architecture {found!r}",
        where=fields.where,
        found=found,
        allowed=f"one of {len(PARSERS)} known architectures",
        action="; or ".join(filter(None, (nearest(str(found), known), INLINE))),
    )
