"""How much slower than predicted steps and first tokens may turn out: quantiles by grade and vendor.

``catalogs/calibration/margins.yaml`` holds them, one-sided. A grade whose quantiles covered left-out
measurements as often as they say carries a probability; any other carries a stated width, a margin that is
assumed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import NormalDist
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from planner.catalog.tables import read_yaml, validate_document

NORMAL = NormalDist()
FILE = "margins.yaml"


class _MarginDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MarginRow(_MarginDocument):
    """One grade. ``quantiles``: of log(measured / predicted) step time, one for each of ``levels``.

    ttft: those of TTFT, empty where the residuals by distance hold. passed: whether left-out measurements
    of the steps lay below the quantile of 0.8 as often as it says; coverage, ttft_coverage: the share that
    did; groups: left-out groups behind it.
    """

    quantiles: tuple[float, ...]
    ttft: tuple[float, ...] = ()
    passed: bool
    source: str
    ttft_source: str = ""
    as_of: date
    ttft_coverage: Annotated[float, Field(ge=0, le=1)] | None = None
    coverage: Annotated[float, Field(ge=0, le=1)] | None = None
    groups: Annotated[int, Field(ge=0)] = 0


class MarginsFile(_MarginDocument):
    """``margins.yaml``: one-sided quantiles by grade, at common levels from 0.5 upwards.

    vendors: rows that stand for a grade on one vendor's devices, where its own measurements say otherwise.
    """

    schema_version: int
    levels: Annotated[tuple[float, ...], Field(min_length=2)]
    grades: dict[str, MarginRow]
    vendors: dict[str, dict[str, MarginRow]] = Field(default_factory=dict)

    @property
    def rows(self) -> dict[str, MarginRow]:
        """Every row by the name of its margin."""
        own = {
            named(grade, vendor): row
            for vendor, grades in self.vendors.items()
            for grade, row in grades.items()
        }
        return self.grades | own

    @model_validator(mode="after")
    def _ordered(self) -> MarginsFile:
        if not (self.levels[0] >= 0.5 and self.levels[-1] < 1):
            raise ValueError("levels lie from 0.5 to below 1")
        if any(a >= b for a, b in itertools.pairwise(self.levels)):
            raise ValueError("levels rise")
        for grade, row in self.rows.items():
            for quantiles in (row.quantiles, row.ttft or row.quantiles):
                if len(quantiles) != len(self.levels):
                    raise ValueError(f"{grade}: one quantile for each level")
                if list(quantiles) != sorted(quantiles):
                    raise ValueError(f"{grade}: quantiles do not fall")
        return self


@dataclass(frozen=True, slots=True)
class Margin:
    """One-sided quantiles of log(measured / predicted) step time behind one prediction.

    name: the grade, or what else they belong to; passed: whether they may be called a probability. ttft:
    quantiles of TTFT at the same levels; those of the steps where it is empty.
    """

    name: str
    levels: tuple[float, ...]
    quantiles: tuple[float, ...]
    passed: bool = False
    ttft: tuple[float, ...] = ()

    def log_slowdown(self, z: float) -> float:
        """The steps' quantile at the normal score ``z``: linear between levels, and on beyond them."""
        return self._at(z, self.quantiles)

    def log_ttft(self, z: float) -> float:
        """The quantile of TTFT at the normal score ``z``."""
        return self._at(z, self.ttft or self.quantiles)

    def _at(self, z: float, quantiles: tuple[float, ...]) -> float:
        scores = [NORMAL.inv_cdf(level) for level in self.levels]
        i = next((i for i in range(1, len(scores) - 1) if z <= scores[i]), len(scores) - 1)
        share = (z - scores[i - 1]) / (scores[i] - scores[i - 1])
        return quantiles[i - 1] + share * (quantiles[i] - quantiles[i - 1])


def read_margins(folder: Path) -> Mapping[str, Margin]:
    """The margins by grade, or by grade and vendor (``named``), of a calibration folder.

    None where it has no such file. Raises CatalogError when the file is wrong.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    file = validate_document(path, read_yaml(path), MarginsFile)
    return {
        grade: Margin(grade, file.levels, row.quantiles, row.passed, row.ttft)
        for grade, row in file.rows.items()
    }


def named(grade: str, vendor: str) -> str:
    """The name of a grade's margin on one vendor's devices: "calibrated AMD"."""
    return f"{grade} {vendor.upper()}"
