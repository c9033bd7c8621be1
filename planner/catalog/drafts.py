"""What can draft tokens for speculative decoding: ``catalogs/drafts/``.

``drafts.csv`` names published draft checkpoints of a model, with their shapes in files beside it;
``methods.csv`` says which engine versions have which method; ``priors.csv`` how many tokens a method
drafts and how many of them are accepted where nobody says.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from planner.catalog.engine import EngineSpec, version_key
from planner.catalog.model import ModelSpec
from planner.catalog.model_files import load_model_file
from planner.catalog.tables import IsoDate, TableRow, read_table
from planner.errors import CatalogError

if TYPE_CHECKING:
    from planner.catalog.store import Catalog

DraftMethod = Literal["mtp", "eagle3", "ngram", "draft"]
FOLDER = "drafts"


class _Sourced(TableRow):
    """A row with where it was read, and when."""

    source: str = Field(min_length=1)
    as_of: IsoDate


class DraftRow(_Sourced):
    """A published draft checkpoint: its shapes in ``file``, and the ``models`` it drafts for."""

    checkpoint: str
    file: str
    method: DraftMethod
    models: str


class MethodRow(_Sourced):
    """An engine that drafts by a method, from version ``since`` to ``until``."""

    engine: str
    method: DraftMethod
    since: str
    until: str = ""


class DraftPriorRow(_Sourced):
    """Tokens drafted, and the share of them accepted; empty: what is published of other models."""

    method: DraftMethod
    draft_tokens: int = Field(gt=0)
    acceptance: float | None = Field(default=None, ge=0, le=1)


def draft_for(root: Path, model: ModelSpec, method: DraftMethod) -> str | None:
    """The checkpoint published for ``model`` and ``method``; None where none is listed."""
    names = {name.lower() for name in (model.name, *model.aliases)}
    for row in _drafts(root):
        if row.method == method and names.intersection(row.models.lower().split(";")):
            return row.checkpoint
    return None


def published_draft(root: Path, checkpoint: str) -> ModelSpec | None:
    """The shapes of a draft checkpoint that ``drafts.csv`` lists; None for any other name."""
    row = next((r for r in _drafts(root) if r.checkpoint.lower() == checkpoint.lower()), None)
    if row is None:
        return None
    spec = load_model_file(root / FOLDER / row.file, None, CatalogError)
    return replace(spec, name=row.checkpoint, source=row.source)


def draft_model(catalog: Catalog, checkpoint: str) -> ModelSpec:
    """The shapes of a draft: of a checkpoint in ``drafts.csv``, a model's name, or a path to a config.

    Raises InputError where it is none of them.
    """
    return published_draft(catalog.root, checkpoint) or catalog.model(checkpoint)


def has_method(root: Path, engine: EngineSpec, method: DraftMethod) -> bool:
    """Whether the engine's version drafts by that method."""
    at = version_key(engine.version)
    return any(
        (row.engine, row.method) == (engine.name, method)
        and version_key(row.since) <= at
        and (not row.until or at <= version_key(row.until))
        for row in _methods(root)
    )


def prior(root: Path, method: DraftMethod) -> DraftPriorRow:
    """What is taken where nobody says how many tokens a method drafts or how many are accepted."""
    return next(row for row in _priors(root) if row.method == method)


@lru_cache(maxsize=4)
def _drafts(root: Path) -> tuple[DraftRow, ...]:
    return read_table(root / FOLDER / "drafts.csv", DraftRow)


@lru_cache(maxsize=4)
def _methods(root: Path) -> tuple[MethodRow, ...]:
    return read_table(root / FOLDER / "methods.csv", MethodRow)


@lru_cache(maxsize=4)
def _priors(root: Path) -> tuple[DraftPriorRow, ...]:
    return read_table(root / FOLDER / "priors.csv", DraftPriorRow)
