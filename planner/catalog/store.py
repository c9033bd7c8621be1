"""The catalog: every table under one folder, each read when first requested and then kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from planner.catalog.engine import EngineSpec, version_key
from planner.catalog.engine_classes import EngineClasses, read_engine_classes
from planner.catalog.engine_rows import Engine, read_engines
from planner.catalog.format_rows import FormatRow, Formats, read_formats
from planner.catalog.formats import KvFormat, WeightFormat
from planner.catalog.gpu import GpuSpec
from planner.catalog.gpus.rows import BRIDGED, read_bridged_gpus, read_gpus
from planner.catalog.gpus.spelling import catalog_spelling
from planner.catalog.model import ModelSpec
from planner.catalog.model_files import ModelEntry, load_model_file, read_model_index
from planner.catalog.money_rows import (
    ApiBatchRow,
    ApiPriceRow,
    CountryRow,
    NetworkRow,
    OwnershipRow,
    ProviderAliasRow,
    ServerPowerRow,
    ServerRow,
    ServiceLevelRow,
)
from planner.catalog.offer import Offer
from planner.catalog.offer_rows import OfferRow, read_offers
from planner.catalog.support import SupportRule, read_support, rules_on
from planner.catalog.tables import TableRow, read_table
from planner.errors import CatalogError, InputError, PlannerError, nearest
from planner.package_data import shipped_folder

Found = TypeVar("Found")
PricedRow = TypeVar("PricedRow", bound=TableRow)
WILDCARDS = frozenset("*?[")


def load_catalog(root: str | Path | None = None) -> Catalog:
    """Return the catalog under ``root``, or the shipped one.

    Raises CatalogError when the folder does not exist.
    """
    root = Path(root) if root else shipped_folder("catalogs")
    if not root.is_dir():
        raise CatalogError("no such catalog folder", where=str(root))
    return Catalog(root)


class Catalog:
    """What exists: accelerators, models, engines, formats, prices and support rules.

    Unknown names raise InputError with the nearest known one; a wrong file raises CatalogError.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def digest(self) -> str:
        """Return a SHA-256 over every catalog file's name and content, in name order.

        It is that of the files when first requested, as what is read of them is.
        """
        return self._digest

    @cached_property
    def _digest(self) -> str:
        total = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and path.suffix in (".csv", ".yaml", ".json"):
                total.update(path.relative_to(self.root).as_posix().encode() + b"\0")
                total.update(hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()

    def gpus(self) -> tuple[GpuSpec, ...]:
        """Return every accelerator, in catalog order."""
        return self._gpus

    def gpu(self, name: str) -> GpuSpec:
        """Return the accelerator of that name, alias or driver's name (case does not matter)."""
        found = self._gpu_by_name.get(name.lower()) or self._gpu_by_name.get(catalog_spelling(name))
        if found is not None:
            return found
        return _look_up("GPU", name, self._gpu_by_name, (gpu.name for gpu in self._gpus), "gpus")

    def model_index(self) -> tuple[ModelEntry, ...]:
        """Return what the catalog lists about each model, without reading its config."""
        return self._model_index

    def model_names(self) -> tuple[str, ...]:
        """Return every model's catalog name."""
        return tuple(entry.name for entry in self._model_index)

    def model(self, name_or_path: str) -> ModelSpec:
        """Return the model of a catalog name or alias, or of a ``config.json`` or its folder.

        Raises InputError when neither is known, or when the file is not a config the planner knows.
        """
        entry = self._model_by_name.get(name_or_path.lower())
        if entry is None and _looks_like_path(name_or_path):
            return load_model_file(Path(name_or_path).expanduser())
        if entry is None:
            entry = _look_up(
                "model", name_or_path, self._model_by_name, self.model_names(), "models"
            )
        if entry.name not in self._models:
            file = self.root / "models" / entry.file
            self._models[entry.name] = load_model_file(file, entry, CatalogError)
        return self._models[entry.name]

    def engines(self) -> tuple[EngineSpec, ...]:
        """Return every version of every engine, oldest first."""
        return tuple(spec for engine in self._engines for spec in engine.versions)

    def planned_engines(self) -> tuple[str, ...]:
        """Return the names of the engines that a plan may choose."""
        return tuple(engine.names[0] for engine in self._engines if engine.planned)

    def engine(
        self, name: str, version: str | None = None, *, oldest_instead: bool = False
    ) -> EngineSpec:
        """Return the engine at ``version`` (the newest listed one not newer), or at its default.

        A version older than every listed one raises InputError, unless ``oldest_instead``.
        """
        by_name = {alias: engine for engine in self._engines for alias in engine.names}
        names = (engine.name for engine in self._engines)
        engine = _look_up("engine", name, by_name, names, "engines")
        if version is None:
            return engine.default
        return engine.at(version, oldest_instead=oldest_instead)

    def engine_serving(self, name: str, architecture: str) -> EngineSpec:
        """Return the engine at its default version, or at the first later one known to list the class."""
        default = self.engine(name)
        row = self._engine_classes.get((default.name, architecture))
        if row is None or not row.absent_at or not row.first_seen:
            return default
        lacks = version_key(default.version) <= version_key(row.absent_at)
        return self.engine(name, row.first_seen) if lacks else default

    def weight_format(self, name: str) -> WeightFormat:
        """Return the weight format of that name or alias."""
        known = self._formats.weights
        return _look_up("weight format", name, known, known, "formats")

    def kv_format(self, name: str) -> KvFormat:
        """Return the KV cache format of that name or alias."""
        known = self._formats.kv
        return _look_up("KV cache format", name, known, known, "formats")

    def formats(self) -> tuple[FormatRow, ...]:
        """Return every weight and KV cache format as listed."""
        return self._formats.rows

    def support_rules(self) -> tuple[SupportRule, ...]:
        """Return every rule on what would not launch."""
        return self._support_rules

    def support_rules_on(
        self, engine: EngineSpec, gpu: GpuSpec, model: ModelSpec
    ) -> tuple[SupportRule, ...]:
        """Return the rules that an engine version may meet on such a GPU with a model."""
        key = (engine, gpu.vendor, gpu.architecture, gpu.compute_capability, model)
        if key not in self._rules_on:
            self._rules_on[key] = rules_on(self._support_rules, engine, gpu, model)
        return self._rules_on[key]

    def engine_classes(self) -> EngineClasses:
        """Return the model classes that engines list, by engine and class."""
        return self._engine_classes

    def offers(self) -> tuple[Offer, ...]:
        """Return every offer of ``prices/``, by provider file."""
        return self._offers

    def read_prices(self, path: Path, error: type[PlannerError] = InputError) -> tuple[Offer, ...]:
        """Return the offers of a price file, with its GPU names resolved to catalog names."""
        gpus = self._gpu_by_name
        return read_offers(path, error, self._canonical_gpu, gpus, self._network_gbps)

    def networks(self) -> tuple[NetworkRow, ...]:
        """Return what joins instances of a type; none without that table."""
        file = "networks.csv"
        return self._priced(file, NetworkRow) if (self.root / "prices" / file).exists() else ()

    def _network_gbps(self, offer: OfferRow) -> float | None:
        """What an offer's own row states of the network, else what the table of networks does [Gb/s]."""
        if offer.network_gbps is not None:
            return offer.network_gbps
        key = offer.provider, offer.instance_type
        if key not in self._network_of:
            rows = self._networks.get(offer.provider, ())
            found = (r.gbps for r in rows if _is_named(offer.instance_type, r.instance_type))
            self._network_of[key] = next(found, None)
        return self._network_of[key]

    def api_prices(self) -> tuple[ApiPriceRow, ...]:
        """Return what hosted APIs charge per million tokens."""
        return self._priced("api.csv", ApiPriceRow)

    def api_batches(self) -> tuple[ApiBatchRow, ...]:
        """Return what hosts take off for requests in a batch."""
        return self._priced("api_batch.csv", ApiBatchRow)

    def provider_aliases(self) -> tuple[ProviderAliasRow, ...]:
        """Return other names of providers, as sources of prices write them; none without that table."""
        return self._if_priced("provider_aliases.csv", ProviderAliasRow)

    def continents(self) -> dict[str, str]:
        """Return the continent of each country that offers lie in; none without that table."""
        rows = self._if_priced("countries.csv", CountryRow)
        return {row.country: row.continent for row in rows}

    def service_levels(self) -> tuple[ServiceLevelRow, ...]:
        """Return the uptime that providers promise; none without that table."""
        return self._if_priced("service_levels.csv", ServiceLevelRow)

    def server_power(self) -> tuple[ServerPowerRow, ...]:
        """Return the power of servers that have no price here; none without that table."""
        return self._if_priced("server_power.csv", ServerPowerRow)

    def servers(self) -> tuple[ServerRow, ...]:
        """Return the servers that can be bought."""
        return self._priced("servers.csv", ServerRow)

    def ownership(self) -> tuple[OwnershipRow, ...]:
        """Return the default costs of running owned servers."""
        return self._priced("ownership.csv", OwnershipRow)

    def _if_priced(self, file: str, row_type: type[PricedRow]) -> tuple[PricedRow, ...]:
        there = (self.root / "prices" / file).exists()
        return self._priced(file, row_type) if there else ()

    def _priced(self, file: str, row_type: type[PricedRow]) -> tuple[PricedRow, ...]:
        if file not in self._price_rows:
            self._price_rows[file] = read_table(self.root / "prices" / file, row_type)
        return tuple(row for row in self._price_rows[file] if isinstance(row, row_type))

    @cached_property
    def _price_rows(self) -> dict[str, tuple[TableRow, ...]]:
        return {}

    def _canonical_gpu(self, name: str) -> str | None:
        gpu = self._gpu_by_name.get(name.lower())
        return gpu.name if gpu else None

    @cached_property
    def _gpus(self) -> tuple[GpuSpec, ...]:
        return read_gpus(self.root / "gpus.csv")

    @cached_property
    def _gpu_by_name(self) -> dict[str, GpuSpec]:
        alone = {n.lower(): gpu for gpu in self._gpus for n in (gpu.name, *gpu.aliases)}
        bridged = {gpu.name: gpu for gpu in read_bridged_gpus(self.root / "gpus.csv")}
        joined = {
            f"{name}{BRIDGED}": bridged[f"{gpu.name}{BRIDGED}"]
            for name, gpu in alone.items()
            if f"{gpu.name}{BRIDGED}" in bridged
        }
        return alone | joined

    @cached_property
    def _formats(self) -> Formats:
        return read_formats(self.root / "formats.csv")

    @cached_property
    def _engines(self) -> tuple[Engine, ...]:
        return read_engines(self.root / "engines.yaml")

    @cached_property
    def _support_rules(self) -> tuple[SupportRule, ...]:
        return read_support(self.root / "support.yaml")

    @cached_property
    def _rules_on(
        self,
    ) -> dict[tuple[EngineSpec, str, str, str, ModelSpec], tuple[SupportRule, ...]]:
        return {}

    @cached_property
    def _engine_classes(self) -> EngineClasses:
        return read_engine_classes(self.root / "engine_classes.csv")

    @cached_property
    def _networks(self) -> dict[str, list[NetworkRow]]:
        found: dict[str, list[NetworkRow]] = {}
        for row in self.networks():
            found.setdefault(row.provider, []).append(row)
        return found

    @cached_property
    def _network_of(self) -> dict[tuple[str, str], float | None]:
        return {}

    @cached_property
    def _offers(self) -> tuple[Offer, ...]:
        files = sorted((self.root / "prices").glob("offers_*.csv"))
        if not files:
            raise CatalogError(
                "no price file", where=str(self.root / "prices"), allowed="offers_*.csv"
            )
        return tuple(offer for file in files for offer in self.read_prices(file, CatalogError))

    @cached_property
    def _model_index(self) -> tuple[ModelEntry, ...]:
        return read_model_index(self.root / "models" / "index.csv")

    @cached_property
    def _model_by_name(self) -> dict[str, ModelEntry]:
        return {n.lower(): entry for entry in self._model_index for n in entry.names}

    @cached_property
    def _models(self) -> dict[str, ModelSpec]:
        return {}


def _is_named(instance_type: str, pattern: str) -> bool:
    """Whether a pattern of the table of networks, mostly a plain name, covers an instance type."""
    if not set(pattern) & WILDCARDS:
        return instance_type == pattern
    return fnmatchcase(instance_type, pattern)


def _looks_like_path(text: str) -> bool:
    if not text:
        return False
    return text.endswith(".json") or text.startswith(("/", "./", "../", "~")) or Path(text).exists()


def _look_up(
    kind: str, name: str, known: Mapping[str, Found], listed: Iterable[str], command: str
) -> Found:
    found = known.get(name.lower())
    if found is None:
        names = tuple(listed)
        raise InputError(
            f"unknown {kind}",
            found=name,
            allowed=", ".join(names) if len(names) <= 30 else f"{len(names)} names",
            action=_way_on(name, names, known, command),
        )
    return found


def _way_on(name: str, listed: Sequence[str], known: Iterable[str], command: str) -> str:
    """What to write in place of an unknown name; a model may also be given by its config.json."""
    like = [n for n in listed if name.lower() in n.lower()][:5] if name else []
    text = nearest(name, (*known, *listed)) or f"list them with: planner catalog {command}"
    if like:
        text = f"did you mean {like[0]!r}?"
    if len(like) > 1:
        text = f"did you mean one of {', '.join(like)}?"
    if command != "models":
        return text
    return f"{text}{' Or' if text.endswith('?') else ', or'} give the path of its config.json"
