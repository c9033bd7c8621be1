"""Classes that engines serve by way of another's shape: ``catalogs/models/classes.csv``, and defaults.

A row says which known body a class has, in which section of the file it lies, which tower stands
beside it and what head it ends in; ``class_defaults.yaml`` has what a section's class takes for a
field that the file leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.tables import IsoDate, TableRow, read_table, read_yaml, validate_document
from planner.package_data import shipped_folder

Head = Literal["lm", "none", "score", "mtp"]
Scalar = bool | int | float | list[int]


class ClassRow(TableRow):
    """One class; ``catalogs/README.md`` says what each column means."""

    name: str
    kind: Literal["text", "multimodal", "speech", "pooling", "draft"]
    body: str = ""
    text: str = ""
    tower: str = ""
    head: Head = "lm"
    source: str = Field(min_length=1)
    as_of: IsoDate
    note: str = ""

    @property
    def sections(self) -> tuple[str, ...]:
        """Where the text model's fields lie, the first section present; none: at the top."""
        return tuple(filter(None, self.text.split(";")))

    @property
    def towers(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a section and the style that reads it."""
        pairs = (part.split(":") for part in filter(None, self.tower.split(";")))
        return tuple((section, style) for section, style in pairs)


class _ClassDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Defaults(_ClassDocument):
    source: str
    as_of: str
    model_types: dict[str, dict[str, Scalar]]


class NamedTower(_ClassDocument):
    """A tower that files name without describing it: its style and shape, or its parameters alone."""

    names: tuple[str, ...]
    style: str = ""
    fields: dict[str, Scalar] = Field(default_factory=dict)
    parameters: int = 0
    source: str


class _NamedTowers(_ClassDocument):
    towers: tuple[NamedTower, ...]


@lru_cache(maxsize=1)
def class_rows() -> Mapping[str, ClassRow]:
    """Every class of the table, by name."""
    path = shipped_folder("catalogs") / "models" / "classes.csv"
    return {row.name: row for row in read_table(path, ClassRow)}


@lru_cache(maxsize=1)
def _defaults() -> Mapping[str, Mapping[str, Scalar]]:
    path = shipped_folder("catalogs") / "models" / "class_defaults.yaml"
    return validate_document(path, _plain(read_yaml(path)), _Defaults).model_types


@lru_cache(maxsize=1)
def named_towers() -> Mapping[str, NamedTower]:
    """Towers by each of their names, in lower case."""
    path = shipped_folder("catalogs") / "models" / "named_towers.yaml"
    rows = validate_document(path, {"towers": read_yaml(path)}, _NamedTowers).towers
    return {name.lower(): row for row in rows for name in row.names}


def with_class_defaults(section: ConfigFields) -> ConfigFields:
    """The section with what its ``model_type``'s class takes for fields the file leaves out."""
    values = _defaults().get(section.text("model_type"))
    return section.with_defaults(values) if values else section


def _plain(content: object) -> object:
    if isinstance(content, dict) and "as_of" in content:
        return {**content, "as_of": str(content["as_of"])}
    return content
