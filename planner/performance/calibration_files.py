"""The documents of ``catalogs/calibration/`` and of a user's own calibration."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from planner.catalog.tables import read_yaml, validate_document
from planner.errors import CatalogError, PlannerError


class _FactorDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PriorRow(_FactorDocument):
    """One factor: its bounds, its prior value and who may shift it."""

    unit: str
    low: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(gt=0)]
    value: Annotated[float, Field(gt=0)]
    spread: Annotated[float, Field(gt=0)]
    varies_by: tuple[tuple[str, ...], ...]
    source: str

    @model_validator(mode="after")
    def _inside(self) -> PriorRow:
        if not self.low < self.value < self.high:
            raise ValueError(f"value {self.value} is not inside {self.low} to {self.high}")
        return self


class RelativeRow(_FactorDocument):
    """A stated difference of hardware or software nobody measured here: the prior times ``times``."""

    factor: str
    when: dict[str, str]
    times: Annotated[float, Field(gt=0)]
    source: str


class ResidualTable(_FactorDocument):
    """Quantiles of log(measured / predicted): distance -> kind -> one value per level.

    ttft_assumed: distances at which TTFT was recorded for too few models to say how models differ.
    """

    levels: Annotated[tuple[float, ...], Field(min_length=2)]
    quantiles: dict[str, dict[str, tuple[float, ...]]]
    ttft_assumed: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> ResidualTable:
        rows = [values for kinds in self.quantiles.values() for values in kinds.values()]
        for values in (self.levels, *rows):
            if len(values) != len(self.levels) or list(values) != sorted(values):
                raise ValueError("levels and quantiles are equally many numbers in rising order")
        if not (self.levels[0] > 0 and self.levels[-1] < 1):
            raise ValueError("levels lie between 0 and 1")
        return self


class PriorsFile(_FactorDocument):
    """``priors.yaml``."""

    schema_version: int
    source: str
    as_of: date
    generations: dict[str, str]
    factors: dict[str, PriorRow]
    residuals: ResidualTable
    relatives: tuple[RelativeRow, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> PriorsFile:
        unknown = {row.factor for row in self.relatives} - set(self.factors)
        if unknown:
            raise ValueError(f"relatives of unknown factors: {', '.join(sorted(unknown))}")
        return self


class ShiftRow(_FactorDocument):
    """One learned shift of a factor's x at one level of the hierarchy."""

    factor: str
    when: dict[str, str]
    shift: Annotated[float, Field(ge=-30, le=30)]
    deviation: Annotated[float, Field(ge=0)] = 0.0


class TraitsRow(_FactorDocument):
    """The fields of ``planner.performance.traits.Traits``."""

    engine: str
    gpu: str
    generation: str
    vendor: str
    dense_format: str
    expert_format: str
    experts: str
    mixer: str
    link: str
    release: str = ""
    indexer: str = "none"


class CarrierRow(_FactorDocument):
    """One measured combination: the model and the traits of its deployment.

    in_flight: the most requests that a replica of it ran at once in a measured run; None where not known.
    """

    model: str
    traits: TraitsRow
    in_flight: Annotated[int, Field(ge=1)] | None = None


class FactorProvenance(_FactorDocument):
    """Where a fitted file comes from."""

    source: str
    fitted_on: date
    points: int
    data_sha256: str
    errors: dict[str, float] = Field(default_factory=dict)


class FittedFile(_FactorDocument):
    """``fitted.json``, or a user's own calibration."""

    schema_version: int
    provenance: FactorProvenance
    shifts: tuple[ShiftRow, ...]
    carriers: tuple[CarrierRow, ...] = ()
    residuals: ResidualTable | None = None


def read_priors(path: Path) -> PriorsFile:
    """Return the stated priors; raises CatalogError."""
    return validate_document(path, read_yaml(path), PriorsFile)


def read_fitted(path: Path, error: type[PlannerError] = CatalogError) -> FittedFile:
    """Return a fitted file; raises ``error`` when it is not one."""
    return validate_document(path, read_yaml(path, error), FittedFile, error)


def dump_shipped(file: BaseModel) -> str:
    """Return a fitted document as JSON, which is read in a fiftieth of YAML's time; a line for each shift."""
    content = file.model_dump(mode="json", exclude_none=True)
    lines = [f" {json.dumps(key)}: {_by_line(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _by_line(value: object) -> str:
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"  {json.dumps(item)}" for item in value) + "\n ]"
    if isinstance(value, dict):
        rows = (f"  {json.dumps(key)}: {json.dumps(item)}" for key, item in value.items())
        return "{\n" + ",\n".join(rows) + "\n }"
    return json.dumps(value)


def dump_fitted(file: FittedFile) -> str:
    """Return the document as YAML that ``read_fitted`` reads back."""
    content = file.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
