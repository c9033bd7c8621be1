"""Names that exporters and manifests use, from ``catalogs/running/``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from planner.catalog.tables import IsoDate, TableRow, read_table

FOLDER = "running"
Kind = Literal["counter", "gauge", "histogram"]


class MetricRow(TableRow):
    """One metric of an exporter: which quantity it measures; ``label`` names the model or the GPU."""

    exporter: str
    quantity: str
    metric: str
    kind: Kind
    label: str = ""
    source: str
    as_of: IsoDate

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its time series."""
        if self.kind != "histogram":
            return (self.metric,)
        return tuple(f"{self.metric}_{part}" for part in ("bucket", "sum", "count"))


class ProgramRow(TableRow):
    """How an engine's server is recognised: words of its command line, or an image that starts it."""

    engine: str
    words: str = ""
    image: str = ""
    source: str
    as_of: IsoDate


@lru_cache(maxsize=4)
def metric_rows(root: Path) -> tuple[MetricRow, ...]:
    """Every known metric; where a quantity has several, the first that has data counts."""
    return read_table(root / FOLDER / "metrics.csv", MetricRow)


@lru_cache(maxsize=4)
def program_rows(root: Path) -> tuple[ProgramRow, ...]:
    """Every known program."""
    return read_table(root / FOLDER / "programs.csv", ProgramRow)
