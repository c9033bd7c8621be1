"""How one engine version spells what a plan asks for, from ``catalogs/engine_options/``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from planner.catalog.checkpoints import SpellingRow, spellings
from planner.catalog.engine import version_key
from planner.catalog.gpu import GpuSpec
from planner.catalog.gpus.rows import BRIDGED
from planner.catalog.tables import IsoDate, TableRow, read_table
from planner.errors import CatalogError, InputError

FOLDER = "engine_options"
Form = Literal["positional", "value", "flag", "off-flag", "switch", "json", "config"]


class Sourced(TableRow):
    """A row with where it was read, and when."""

    source: str = Field(min_length=1)
    as_of: IsoDate


class OptionRow(Sourced):
    """An option of the engine's server, and the recorded versions that have it."""

    option: str
    aliases: str = ""
    takes: Literal["value", "flag", "switch", "config"]
    choices: str = ""
    since: str
    until: str

    @property
    def names(self) -> tuple[str, ...]:
        """Every spelling; a switch has a negative one too."""
        names = (self.option, *filter(None, self.aliases.split(";")))
        if self.takes != "switch":
            return names
        return (*names, *(f"--no-{n.removeprefix('--')}" for n in names if n.startswith("--")))


class SettingRow(Sourced):
    """The option that carries one setting, from version ``since`` on."""

    engine: str
    setting: str
    option: str = ""
    form: Form
    since: str = ""


class RuntimeRow(Sourced):
    """The image of an engine for one vendor's devices, how it starts, and its queue's metric."""

    engine: str
    vendor: str
    architectures: str = ""
    since: str
    until: str = ""
    image: str
    program: str
    entrypoint: Literal["replace", "keep"]
    metrics_path: str = ""
    queue_metric: str = ""
    queue_kind: Literal["", "gauge", "seconds"] = ""


class DeviceRow(Sourced):
    """How a vendor's devices are requested."""

    vendor: str
    resource: str
    visible_variable: str
    compose_driver: str = ""


class HostRow(Sourced):
    """What an engine's processes need of their node beside GPUs [cores, GiB]."""

    engine: str
    cpus: int = Field(ge=0)
    cpus_per_gpu: int = Field(ge=0)
    memory_gib: float = Field(ge=0)
    memory_per_gpu_gib: float = Field(ge=0)
    scratch_gib: int = Field(ge=1)


class NodeLabelRow(Sourced):
    """The label that a vendor's discovery puts on nodes with this GPU."""

    gpu: str
    label: str
    value: str


class ComponentRow(Sourced):
    """A pinned piece that llm-d is installed from; ``reference`` may name ``{version}``."""

    component: str
    reference: str
    version: str


@dataclass(frozen=True)
class Dialect:
    """One engine version: its options, its spelling of settings and formats, its images."""

    engine: str
    version: str
    root: Path

    def setting(self, name: str) -> SettingRow:
        """The option that carries ``name``; InputError when this version has none."""
        row = self.settings().get(name)
        if row is None:
            raise InputError(
                f"{self.engine} {self.version} has no option for {name.replace('_', ' ')}",
                where=f"catalogs/{FOLDER}/settings.csv",
                action="solve with a newer engine version, or without this setting",
            )
        return row

    def settings(self) -> dict[str, SettingRow]:
        """Every setting this version can spell."""
        rows = (r for r in _settings(self.root) if r.engine == self.engine)
        return {r.setting: r for r in rows if self._holds(r.since, "")}

    def options(self) -> dict[str, OptionRow]:
        """The recorded options of the newest recorded version not newer than this one, by name."""
        rows = _options(self.root, self.engine)
        recorded = sorted({v for r in rows for v in (r.since, r.until)}, key=version_key)
        older = [v for v in recorded if version_key(v) <= version_key(self.version)]
        at = version_key(older[-1] if older else recorded[0])
        held = (r for r in rows if version_key(r.since) <= at <= version_key(r.until))
        return {name: row for row in held for name in row.names}

    def weights(self, name: str, vendor: str) -> SpellingRow | None:
        """How weights in that format are requested; None when the engine has no option for it."""
        return self._spelling("weights", name, vendor)

    def kv_cache(self, name: str, vendor: str) -> str:
        """The KV cache type as this engine spells it."""
        row = self._spelling("kv", name, vendor)
        if row is None:
            raise InputError(
                f"{self.engine} {self.version} has no spelling for a {name} KV cache",
                where=f"catalogs/{FOLDER}/formats.csv",
                action="solve again with another kv_cache under search",
            )
        return row.value

    def dtype(self, weights: str) -> str | None:
        """The ``--dtype`` of unquantised weights; None where the checkpoint decides."""
        row = self._spelling("dtype", weights, "")
        return row.value if row else None

    def runtime(self, gpu: GpuSpec) -> RuntimeRow | None:
        """The image and start-up of this version on that GPU, when one is recorded."""
        fitting = [
            r
            for r in _runtimes(self.root)
            if (r.engine, r.vendor) == (self.engine, gpu.vendor)
            and (not r.architectures or gpu.architecture in r.architectures.split(";"))
            and self._holds(r.since, r.until)
        ]
        return fitting[-1] if fitting else None

    def any_runtime(self) -> RuntimeRow:
        """A runtime of this engine, whatever the vendor: program and metrics are the same."""
        rows = [r for r in _runtimes(self.root) if r.engine == self.engine]
        reached = [r for r in rows if self._holds(r.since, "")]
        return (reached or rows)[-1]

    def device(self, vendor: str) -> DeviceRow:
        """How that vendor's devices are requested."""
        row = next((r for r in device_rows(self.root) if r.vendor == vendor), None)
        if row is None:
            raise CatalogError(
                "no device plugin is recorded for this vendor",
                where=f"catalogs/{FOLDER}/devices.csv",
                found=vendor,
            )
        return row

    def host(self) -> HostRow:
        """What this engine's processes need of their node."""
        row = next((r for r in _hosts(self.root) if r.engine == self.engine), None)
        if row is None:
            raise CatalogError(
                "no host needs are recorded for this engine",
                where=f"catalogs/{FOLDER}/hosts.csv",
                found=self.engine,
            )
        return row

    def node_label(self, gpu: str) -> tuple[str, str]:
        """The label and value of nodes with that GPU; a label of our own where none is known."""
        plain = gpu.removesuffix(BRIDGED)  # a bridge is no label of the nodes
        row = next((r for r in node_label_rows(self.root) if r.gpu == plain), None)
        return (row.label, row.value) if row else ("planner/gpu", gpu)

    def _spelling(self, kind: str, name: str, vendor: str) -> SpellingRow | None:
        fitting = [
            r
            for r in spellings(self.root)
            if (r.engine, r.kind, r.format) == (self.engine, kind, name)
            and r.vendor in ("", vendor)
            and r.holds(self.version)
        ]
        return max(fitting, key=lambda r: (bool(r.vendor), version_key(r.since)), default=None)

    def _holds(self, since: str, until: str) -> bool:
        at = version_key(self.version)
        return version_key(since) <= at and (not until or at <= version_key(until))


def llm_d_components(root: Path) -> dict[str, ComponentRow]:
    """The pinned pieces that llm-d is installed from, by name."""
    rows = read_table(root / FOLDER / "llm_d.csv", ComponentRow)
    return {row.component: row for row in rows}


@lru_cache(maxsize=16)
def _options(root: Path, engine: str) -> tuple[OptionRow, ...]:
    return read_table(root / FOLDER / f"{engine}.csv", OptionRow)


@lru_cache(maxsize=4)
def _settings(root: Path) -> tuple[SettingRow, ...]:
    return read_table(root / FOLDER / "settings.csv", SettingRow)


@lru_cache(maxsize=4)
def _runtimes(root: Path) -> tuple[RuntimeRow, ...]:
    return read_table(root / FOLDER / "runtimes.csv", RuntimeRow)


@lru_cache(maxsize=4)
def device_rows(root: Path) -> tuple[DeviceRow, ...]:
    """How each vendor's devices are requested."""
    return read_table(root / FOLDER / "devices.csv", DeviceRow)


@lru_cache(maxsize=4)
def _hosts(root: Path) -> tuple[HostRow, ...]:
    return read_table(root / FOLDER / "hosts.csv", HostRow)


@lru_cache(maxsize=4)
def node_label_rows(root: Path) -> tuple[NodeLabelRow, ...]:
    """The labels of nodes by GPU."""
    return read_table(root / FOLDER / "node_labels.csv", NodeLabelRow)
