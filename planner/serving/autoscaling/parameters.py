"""How autoscalers decide: rows of ``catalogs/autoscalers.yaml``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from planner.catalog.tables import IsoDate, read_yaml, validate_document

FILE = "autoscalers.yaml"


class AutoscalerPart(BaseModel):
    """The base of every part of a row: frozen, no unknown keys, finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ScalingRule(AutoscalerPart):
    """How fast replicas may be added, or taken away.

    window_s: what counts is the most cautious wish of the last seconds [s]; pods, percent: the most replicas
    changed in ``period_s`` [s], whichever allows more.
    """

    window_s: float = Field(ge=0)
    pods: int = Field(ge=0)
    percent: float = Field(ge=0)
    period_s: float = Field(gt=0)


class SaturationRule(AutoscalerPart):
    """When a fleet is near saturation: the spare below the thresholds of a replica falls under a trigger.

    kv_threshold, kv_spare: share of the KV pool; queue_threshold, queue_spare: requests waiting at a
    replica; peak_s: both are the highest of the last seconds [s].
    """

    kv_threshold: float = Field(gt=0, le=1)
    queue_threshold: float = Field(gt=0)
    kv_spare: float = Field(ge=0)
    queue_spare: float = Field(ge=0)
    peak_s: float = Field(ge=0)


class AutoscalerRow(AutoscalerPart):
    """One autoscaler: how often it looks [s], what deviation it ignores, and how fast it acts."""

    name: str
    interval_s: float = Field(gt=0)
    tolerance: float = Field(ge=0)
    scale_up: ScalingRule
    scale_down: ScalingRule
    saturation: SaturationRule | None = None
    source: str = Field(min_length=1)
    as_of: IsoDate


class _Autoscalers(AutoscalerPart):
    rows: tuple[AutoscalerRow, ...]


@lru_cache(maxsize=4)
def autoscalers(root: Path) -> dict[str, AutoscalerRow]:
    """Every autoscaler of the catalog in folder ``root``, by name."""
    path = root / FILE
    rows = [{**row, "as_of": str(row["as_of"])} for row in read_yaml(path)]
    return {row.name: row for row in validate_document(path, {"rows": rows}, _Autoscalers).rows}
