"""From any ``config.json`` of a known architecture to a ModelSpec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.quantization import read_quantization
from planner.catalog.architectures.registry import BY_MODEL_TYPE, PARSERS
from planner.catalog.model import ModelSpec
from planner.errors import InputError, nearest

BY_NAME = {name.lower(): name for name in PARSERS}
DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


def parse_config(config: Mapping[str, Any], name: str, where: str) -> ModelSpec:
    """Return the model that ``config`` describes.

    ``name`` labels it, ``where`` is the file (or whatever the user gave) for messages. Raises
    InputError when the architecture is unknown or a field is missing or absurd.
    """
    if not isinstance(config, Mapping):
        raise InputError(
            "a model configuration is a mapping", where=where, found=type(config).__name__
        )
    fields = ConfigFields(config, where)
    architecture = _architecture(fields)
    body = PARSERS[architecture](fields)
    inner = fields.section("text_config") or fields
    written = [f.text(key) for f in (fields, inner) for key in ("torch_dtype", "dtype")]
    dtype = DTYPES.get(next(filter(None, written), ""), "bf16")
    holder = fields if fields.has("quantization_config") else inner
    stored = read_quantization(holder, len(body.layers), dtype)
    mtp = body.mtp
    if dict(stored.classes).get("mtp") == dtype:
        mtp = tuple(replace(tensor, klass="mtp") for tensor in mtp)
    return ModelSpec(
        name=name,
        architecture=architecture,
        hidden_size=body.hidden,
        vocab_size=body.vocab,
        tied_embeddings=body.tied,
        layers=body.layers,
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
    )


def _architecture(fields: ConfigFields) -> str:
    listed = fields.items("architectures") or ()
    model_type = fields.text("model_type")
    for candidate in listed:
        if isinstance(candidate, str) and candidate.lower() in BY_NAME:
            return BY_NAME[candidate.lower()]
    if not listed and model_type in BY_MODEL_TYPE:
        return BY_MODEL_TYPE[model_type]
    found = listed[0] if listed else model_type
    if not found:
        raise InputError(
            "neither `architectures` nor `model_type` is set",
            where=fields.where,
            allowed="a config.json of a known architecture",
        )
    known = list(PARSERS) if listed else list(BY_MODEL_TYPE)
    raise InputError(
        f"unknown architecture {found!r}",
        where=fields.where,
        found=found,
        allowed=f"one of {len(PARSERS)} known architectures",
        action=nearest(str(found), known)
        or "describe it inline: layers, hidden, heads, kv_heads, intermediate, vocab, ...",
    )
