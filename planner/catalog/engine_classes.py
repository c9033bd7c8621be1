"""Which model classes an engine lists, and in which versions: ``catalogs/engine_classes.csv``.

A class is refused where a version read before it lacks it, and where the engine no longer lists it and
Transformers has no class of that name to fall back on. Between the versions read nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from planner.catalog.engine import EngineSpec, version_key
from planner.catalog.tables import IsoDate, TableRow, read_table

Kind = Literal["text", "multimodal", "pooling", "classification", "draft", "other"]


class EngineClassRow(TableRow):
    """One class of one engine; ``catalogs/README.md`` says what each column means."""

    engine: str
    name: str
    kind: Kind
    absent_at: str = ""
    first_seen: str = ""
    last_seen: str = ""
    gone_at: str = ""
    fallback: bool = False
    source: str = Field(min_length=1)
    as_of: IsoDate

    @property
    def is_listed(self) -> bool:
        """Whether the newest version read lists the class."""
        return not self.gone_at


EngineClasses = Mapping[tuple[str, str], EngineClassRow]


def read_engine_classes(path: Path) -> EngineClasses:
    """Return every row by engine and class."""
    return {(row.engine, row.name): row for row in read_table(path, EngineClassRow)}


def listing_reasons(
    classes: EngineClasses, engine: EngineSpec, architecture: str
) -> tuple[str, ...]:
    """Why the engine's version does not serve the class; empty when it may."""
    row = classes.get((engine.name, architecture))
    if row is None:
        return ()
    version = version_key(engine.version)
    if row.absent_at and version <= version_key(row.absent_at):
        return (
            f"{engine.name} lists {architecture} from {row.first_seen} on "
            f"({row.absent_at} does not have it)",
        )
    if row.gone_at and not row.fallback and version >= version_key(row.gone_at):
        return (f"{engine.name} lists {architecture} up to {row.last_seen}",)
    return ()
