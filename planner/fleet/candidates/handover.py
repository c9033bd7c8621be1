"""Whether a prefill replica on one GPU type may hand its KV cache to a decode replica on another.

The engine's connector decides (``catalogs/kv_connectors.csv``): formats, drafts and versions must agree,
devices be of one vendor, and blocks and backends as the engine takes them on each GPU fit together.
Where layout or block differ and the connector copes, the decode side rewrites what it received: each
byte is read and written once more at its memory's bandwidth.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from planner.catalog.kv_handover import BackendRow, attention_kind, backend, connector
from planner.deployment import Deployment

REWRITES = 2.0  # a byte is read and written


def handover_reasons(root: Path, prefill: Deployment, decode: Deployment) -> Iterator[str]:
    """Why a cache cannot be handed over between two GPU types; nothing where it can."""
    kind = attention_kind(decode.model)
    row = connector(root, decode.engine.name, kind)
    if row is None:
        yield f"no KV connector of {decode.engine.name} is recorded for {kind} attention"
        return
    sides = _backends(root, prefill, decode)
    yield from (
        f"{row.connector} needs the same {name.replace('_', ' ')} on both sides: {mine} and {theirs}"
        for name, mine, theirs in _compared(prefill, decode, sides)
        if name in row.must_match and mine != theirs
    )
    mine, theirs = sides
    if mine is None or theirs is None:
        unknown = (prefill if mine is None else decode).gpu.name
        yield f"the attention backend of {decode.engine.name} on {unknown} is not recorded"
    elif mine.block_tokens > theirs.block_tokens or (
        row.blocks == "same" and mine.block_tokens != theirs.block_tokens
    ):
        yield (
            f"{row.connector} cannot hand blocks of {mine.block_tokens} tokens to ones of "
            f"{theirs.block_tokens}"
        )


def unvalidated_note(root: Path, decode: Deployment) -> Iterator[str]:
    """What a connector is only taken to need between two GPU types; nothing where all is known."""
    row = connector(root, decode.engine.name, attention_kind(decode.model))
    if row is not None and row.unvalidated:
        named = ", ".join(name.replace("_", " ") for name in row.unvalidated.split(";"))
        yield (
            f"{row.connector} of {decode.engine.name} between two GPU types: whether the same {named} are "
            "needed is unvalidated"
        )


def conversion_s_per_byte(root: Path, prefill: Deployment, decode: Deployment) -> float:
    """What rewriting a received cache costs a decode GPU [s/B]; 0 where it can stay as it came."""
    if prefill.gpu.name == decode.gpu.name:
        return 0.0
    mine, theirs = _backends(root, prefill, decode)
    if mine is not None and theirs is not None:
        equal = (mine.layout, mine.block_tokens) == (theirs.layout, theirs.block_tokens)
        if equal and prefill.tensor_parallel == decode.tensor_parallel:
            return 0.0
    return REWRITES / decode.gpu.bandwidth_bytes_s


def _backends(
    root: Path, prefill: Deployment, decode: Deployment
) -> tuple[BackendRow | None, BackendRow | None]:
    kind = attention_kind(decode.model)
    mine, theirs = (
        backend(root, d.engine.name, kind, d.gpu, d.kv_cache.bits) for d in (prefill, decode)
    )
    return mine, theirs


def _compared(
    prefill: Deployment, decode: Deployment, sides: tuple[BackendRow | None, BackendRow | None]
) -> Iterator[tuple[str, str, str]]:
    """What a connector may ask about, with each side's own."""
    mine, theirs = sides
    if mine is not None and theirs is not None:
        yield "backend", mine.backend, theirs.backend
    yield "vendor", prefill.gpu.vendor, decode.gpu.vendor
    yield "kv_cache", prefill.kv_cache.name, decode.kv_cache.name
    yield "weights", prefill.weights.name, decode.weights.name
    yield "draft", prefill.speculation or "none", decode.speculation or "none"
    yield "tensor_parallel", str(prefill.tensor_parallel), str(decode.tensor_parallel)
