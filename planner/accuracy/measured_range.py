"""What was measured of an engine: its newest version, and how many requests were in flight, by GPU.

Read from the tables of measured points in ``catalogs/calibration/``, of which only a row's engine,
version, GPU, date and concurrency count here.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from planner.catalog.engine import version_key
from planner.catalog.parsed import parsed_once
from planner.catalog.store import Catalog
from planner.catalog.tables import MAX_TABLE_BYTES, read_text
from planner.errors import CatalogError, InputError

TABLES = "*_points.csv"
PRE_RELEASE = re.compile(r"rc|dev|alpha|beta")
COLUMNS = frozenset({"engine", "gpu", "concurrency"})


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One measured run; ``version`` and ``measured_on`` are empty where they were not recorded."""

    engine: str
    gpu: str
    concurrency: float
    version: str = ""
    measured_on: str = ""

    @property
    def is_release(self) -> bool:
        """Whether the version is one that was released, not a candidate or a nightly build."""
        return bool(version_key(self.version)) and not PRE_RELEASE.search(self.version)


@dataclass(frozen=True, slots=True)
class ConcurrencyRange:
    """The fewest and most requests in flight at one replica [requests], and whether on this GPU."""

    least: float
    most: float
    on_gpu: bool


def newest_measured(catalog: Catalog, engine: str, *, releases: bool = False) -> MeasuredRun | None:
    """The run of the newest recorded version of an engine; None where no version was recorded.

    ``releases``: candidates and nightly builds do not count.
    """
    every = _runs_of(catalog, engine)
    runs = (r for r in every if (r.is_release if releases else version_key(r.version)))
    return max(runs, key=lambda r: (version_key(r.version), r.measured_on), default=None)


@lru_cache(maxsize=256)
def measured_concurrency(catalog: Catalog, engine: str, gpu: str) -> ConcurrencyRange | None:
    """Requests in flight at a replica in the measured runs of an engine.

    On this GPU where there are such runs, else on any; None where the engine was not measured.
    """
    runs = _runs_of(catalog, engine)
    here = [r for r in runs if _gpu_name(catalog, r.gpu) == gpu]
    found = [r.concurrency for r in here or runs]
    return ConcurrencyRange(min(found), max(found), bool(here)) if found else None


def _runs_of(catalog: Catalog, engine: str) -> list[MeasuredRun]:
    runs = _runs(catalog.root)
    named = {name for name in {r.engine for r in runs} if _engine_name(catalog, name) == engine}
    return [r for r in runs if r.engine in named]


def _engine_name(catalog: Catalog, name: str) -> str:
    try:
        return catalog.engine(name).name
    except InputError:
        return name


def _gpu_name(catalog: Catalog, name: str) -> str:
    try:
        return catalog.gpu(name).name
    except InputError:
        return name


@lru_cache(maxsize=4)
def _runs(root: Path) -> tuple[MeasuredRun, ...]:
    tables = sorted((root / "calibration").glob(TABLES))
    texts = (read_text(path, MAX_TABLE_BYTES, CatalogError) for path in tables)
    rows = (row for text in texts for row in parsed_once("measured", text, _rows))
    return tuple(MeasuredRun(engine, gpu, n, version, on) for engine, gpu, n, version, on in rows)


def _rows(text: str) -> list[list[str | float]]:
    """The fields of the runs of one table that say how many requests were in flight, equal ones once."""
    return [list(run) for run in dict.fromkeys(_runs_in(text))]


def _runs_in(text: str) -> Iterator[tuple[str, str, float, str, str]]:
    reader = csv.reader(text.splitlines())
    header = next(reader, [])
    if not set(header) >= COLUMNS:
        return
    column = {name: place for place, name in enumerate(header)}
    engine, gpu, concurrency = (column[name] for name in ("engine", "gpu", "concurrency"))
    optional = [column.get(name) for name in ("engine_version", "measured_on")]
    for row in reader:
        row += [""] * (len(header) - len(row))
        try:
            in_flight = float(row[concurrency])
        except ValueError:  # not recorded
            continue
        version, on = ("" if place is None else row[place] for place in optional)
        yield row[engine], row[gpu], in_flight, version, on
