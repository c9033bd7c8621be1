"""Public checkpoints of the catalog's models in other number formats, and what engines quantise at load.

``models/quantised.csv`` lists the first, ``engine_options/formats.csv`` the second;
``models/remote_code.csv`` those that bring code of their own.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from planner.catalog.engine import EngineSpec, version_key
from planner.catalog.tables import IsoDate, TableRow, read_table

SPELLINGS = Path("engine_options") / "formats.csv"
CHECKPOINTS = Path("models") / "quantised.csv"
REMOTE_CODE = Path("models") / "remote_code.csv"


class SpellingRow(TableRow):
    """The value for one format; ``checkpoint``: "any" means the engine quantises at load."""

    engine: str
    kind: Literal["weights", "kv", "dtype"]
    format: str
    vendor: str = ""
    value: str = ""
    checkpoint: Literal["", "any", "quantised"] = ""
    since: str = ""
    until: str = ""
    source: str = Field(min_length=1)
    as_of: IsoDate

    def holds(self, version: str) -> bool:
        """Whether ``version`` of the engine spells it so."""
        at = version_key(version)
        return version_key(self.since) <= at and (not self.until or at <= version_key(self.until))


class CheckpointRow(TableRow):
    """A public checkpoint that holds the weights of ``base`` in another ``format``."""

    base: str
    format: str
    checkpoint: str = Field(min_length=1)
    source: str = Field(min_length=1)
    as_of: IsoDate
    note: str = ""


class RemoteCodeRow(TableRow):
    """A checkpoint that engines load only where they may run code that comes with it."""

    checkpoint: str
    source: str = Field(min_length=1)
    as_of: IsoDate
    note: str = Field(min_length=1)


@lru_cache(maxsize=4)
def remote_code(root: Path) -> tuple[RemoteCodeRow, ...]:
    """Every checkpoint of the catalog in folder ``root`` that is known to need its own code."""
    return read_table(root / REMOTE_CODE, RemoteCodeRow)


def remote_code_warning(root: Path, checkpoint: str) -> str:
    """That ``checkpoint`` needs ``--trust-remote-code``, and who says so; "" where nothing is known."""
    found = (r for r in remote_code(root) if r.checkpoint.lower() == checkpoint.lower())
    row = next(found, None)
    if row is None:
        return ""
    return (
        f"{checkpoint} is loaded with code of its own ({row.note}; {row.source}), which is not allowed "
        "unless you say so: read it, then give --trust-remote-code"
    )


@lru_cache(maxsize=4)
def spellings(root: Path) -> tuple[SpellingRow, ...]:
    """How every engine spells every format, of the catalog in folder ``root``."""
    return read_table(root / SPELLINGS, SpellingRow)


@lru_cache(maxsize=4)
def quantised_checkpoints(root: Path) -> tuple[CheckpointRow, ...]:
    """Every public quantised checkpoint that the catalog in folder ``root`` lists."""
    return read_table(root / CHECKPOINTS, CheckpointRow)


def public_checkpoint(root: Path, base: str, weights: str) -> str | None:
    """The repository with the weights of checkpoint ``base`` in that format; None where none is known."""
    known = (
        row.checkpoint
        for row in quantised_checkpoints(root)
        if (row.base.lower(), row.format) == (base.lower(), weights)
    )
    return next(known, None)


def near_checkpoints(root: Path, base: str, weights: str) -> tuple[tuple[str, str], ...]:
    """Formats of the same kind of number as ``weights`` (``fp8_block`` for ``fp8``) and their checkpoints."""
    kind = weights.partition("_")[0]
    return tuple(
        (row.format, row.checkpoint)
        for row in quantised_checkpoints(root)
        if row.base.lower() == base.lower()
        and row.format != weights
        and row.format.partition("_")[0] == kind
    )


def made_at_load(root: Path, engine: EngineSpec, weights: str) -> bool:
    """Whether the engine makes weights in that format of a 16-bit checkpoint as it starts."""
    return any(
        row.checkpoint == "any"
        for row in spellings(root)
        if (row.engine, row.kind, row.format) == (engine.name, "weights", weights)
        and row.holds(engine.version)
    )
