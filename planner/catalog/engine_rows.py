"""The content of ``catalogs/engines.yaml``, and how a wanted version finds its row."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from planner.catalog.engine import (
    EngineLimits,
    EngineSpec,
    KvOffloadSupport,
    Scheduler,
    version_key,
)
from planner.catalog.tables import read_yaml, validate_document
from planner.errors import CatalogError, InputError


class _EngineDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class VersionRow(_EngineDocument):
    """One version of an engine, with what it inherits already filled in."""

    version: str = Field(pattern=r"^\d+(\.\d+)+$")
    scheduler: Scheduler
    memory_budget: str = Field(pattern=r"^(total|static|free)-fraction$")
    memory_fraction: float = Field(gt=0, le=1)
    graphs_inside_budget: bool
    max_num_seqs: int = Field(gt=0)
    max_num_batched_tokens: int = Field(gt=0)
    gpu_limits: tuple[EngineLimits, ...]
    kv_block_tokens: int = Field(gt=0)
    prefix_caching: bool
    start_up_s: float = Field(ge=0)
    mla_kv_padding_values: int = Field(ge=0)
    hybrid_pages: bool = False
    caches_states: bool = True
    fused_sampler_models: tuple[str, ...] = ()
    options_cover_ranks: bool = False
    max_num_seqs_drafting: int | None = Field(default=None, gt=0)
    sequences_within_tokens: bool = False
    max_num_seqs_of: dict[str, int] = Field(default_factory=dict)
    graphs_max_batch_of: dict[str, int] = Field(default_factory=dict)
    graphs_within_sequences: bool = False
    state_pool_ratio: float = Field(default=0.0, ge=0)
    state_slots_per_sequence: int = Field(default=1, gt=0)
    kv_offload: KvOffloadSupport | None = None
    decode_context: tuple[Literal["softmax", "latent"], ...] = ()
    memory: dict[str, float]
    source: str = Field(min_length=1)
    as_of: date
    note: str = ""

    def spec(self, name: str) -> EngineSpec:
        """Return the engine version as the planner's value."""
        as_values = {
            "memory": tuple(sorted(self.memory.items())),
            "max_num_seqs_of": tuple(sorted(self.max_num_seqs_of.items())),
            "graphs_max_batch_of": tuple(sorted(self.graphs_max_batch_of.items())),
            "as_of": self.as_of.isoformat(),
        }
        return EngineSpec(name=name, **{**self.__dict__, **as_values})


class EngineRow(_EngineDocument):
    """An engine, its other names, and its versions from oldest to newest.

    ``planned``: plans may choose it; otherwise its measured runs are predicted only.
    """

    name: str
    aliases: tuple[str, ...] = ()
    default_version: str
    planned: bool = True
    versions: tuple[VersionRow, ...] = Field(min_length=1)


class Engine:
    """An engine's versions, oldest first."""

    def __init__(self, row: EngineRow) -> None:
        self.name = row.name
        self.names = (row.name, *row.aliases)
        self.planned = row.planned
        self.versions = tuple(version.spec(row.name) for version in row.versions)
        self.default = self.at(row.default_version)

    def at(self, version: str, *, oldest_instead: bool = False) -> EngineSpec:
        """Return the engine at ``version``, with the defaults of the newest listed one not newer.

        ``defaults_of`` says which one is used; a name without numbers ("nightly") means the newest.
        Raises InputError for a version older than every listed one, unless ``oldest_instead``.
        """
        wanted = version_key(version)
        if not wanted:
            return self.versions[-1]
        older = [spec for spec in self.versions if version_key(spec.version) <= wanted]
        if not older and not oldest_instead:
            raise InputError(
                f"{self.name} {version} is older than what is known of it",
                found=version,
                allowed=f"{self.versions[0].version} or newer",
            )
        spec = older[-1] if older else self.versions[0]
        if version_key(spec.version) == wanted:
            return spec
        return replace(spec, version=version, defaults_of=spec.version)


def read_engines(path: Path) -> tuple[Engine, ...]:
    """Return every engine of ``catalogs/engines.yaml``.

    Raises CatalogError when the file, a field, the order of versions or a default is wrong.
    """
    content = read_yaml(path)
    if isinstance(content, list):
        content = [_with_inheritance(entry) for entry in content]
    rows = validate_document(path, content, tuple[EngineRow, ...])
    for row in rows:
        versions = [version.version for version in row.versions]
        if sorted(versions, key=version_key) != versions or row.default_version not in versions:
            raise CatalogError(
                f"the versions of {row.name} are out of order, or lack the default",
                where=str(path),
                found=f"{', '.join(versions)}; default {row.default_version}",
                allowed="oldest first, the default among them",
            )
    return tuple(Engine(row) for row in rows)


def _with_inheritance(entry: Any) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("versions"), list):
        return entry
    full: list[Any] = []
    for version in entry["versions"]:
        if not isinstance(version, dict):
            return entry
        before = full[-1] if full else {}
        memory = {**before.get("memory", {}), **version.get("memory", {})}
        full.append({**before, "note": "", **version, "memory": memory})
    return {**entry, "versions": full}
