"""What an engine's KV connector asks of a prefill and a decode replica: two tables of ``catalogs/``.

``kv_connectors.csv``: what must be the same on both sides, by engine and kind of attention, and which
block sizes may differ. ``attention_backends.csv``: the backend, block and layout an engine takes by
itself on a GPU, which decide whether two GPU types agree.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from planner.catalog.gpu import GpuSpec
from planner.catalog.model import LatentAttention, ModelSpec, RecurrentMixer
from planner.catalog.tables import IsoDate, TableRow, read_table

AttentionKind = Literal["softmax", "latent", "recurrent"]


class ConnectorRow(TableRow):
    """What one connector needs for one kind of attention.

    ``same``: of kv_cache, weights, backend, draft, vendor, tensor_parallel. ``blocks``: "same", or
    "smaller" where the prefill side's may be the smaller ones. ``unvalidated``: what of these the sources
    do not say; it is taken to be needed, as the other connectors need it.
    """

    source: str = Field(min_length=1)
    as_of: IsoDate
    engine: str
    connector: str
    attention: AttentionKind
    same: str
    blocks: Literal["same", "smaller"]
    unvalidated: str = ""

    @property
    def must_match(self) -> tuple[str, ...]:
        """What must be the same on both sides."""
        return tuple(self.same.split(";"))


class BackendRow(TableRow):
    """The attention backend that an engine takes on GPUs of a compute capability by itself.

    ``capability``: major numbers; ``kv_bits``: of the cache, none for any.
    """

    source: str = Field(min_length=1)
    as_of: IsoDate
    engine: str
    attention: AttentionKind
    capability: str
    kv_bits: int | None = None
    backend: str
    block_tokens: int = Field(gt=0)
    layout: Literal["HND", "NHD"]


def attention_kind(model: ModelSpec) -> AttentionKind:
    """The kind of a model's layers that its connector is choosiest about."""
    mixers = [layer.mixer for layer in model.layers]
    if any(isinstance(mixer, RecurrentMixer) for mixer in mixers):
        return "recurrent"
    return "latent" if any(isinstance(mixer, LatentAttention) for mixer in mixers) else "softmax"


def connector(root: Path, engine: str, attention: AttentionKind) -> ConnectorRow | None:
    """The row of an engine's connector; None where none is recorded."""
    rows = (r for r in _connectors(root) if (r.engine, r.attention) == (engine, attention))
    return next(rows, None)


def backend(
    root: Path, engine: str, attention: AttentionKind, gpu: GpuSpec, kv_bits: float
) -> BackendRow | None:
    """The backend an engine takes on ``gpu``; of a recurrent model that of its attention layers."""
    kind = "softmax" if attention == "recurrent" else attention
    major = gpu.compute_capability.partition(".")[0]
    for row in _backends(root):
        fits = (row.engine, row.attention) == (engine, kind) and major in row.capability.split(";")
        if fits and row.kv_bits in (None, int(kv_bits)):
            return row
    return None


@lru_cache(maxsize=4)
def _connectors(root: Path) -> tuple[ConnectorRow, ...]:
    return read_table(root / "kv_connectors.csv", ConnectorRow)


@lru_cache(maxsize=4)
def _backends(root: Path) -> tuple[BackendRow, ...]:
    return read_table(root / "attention_backends.csv", BackendRow)
