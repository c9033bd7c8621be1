"""How many times as long as predicted the steps of a prefill pool take.

Pools that only prefill do not keep the pace of their kernels: prompts of FP8 experts on attention-DP ranks
take 1.3 to 1.7 times as long on every NVIDIA engine. ``catalogs/calibration/prefill_pace.csv`` was fitted
to the median and p99 of TTFT and to throughput of 438 disaggregated runs of DeepSeek-R1, layouts weighing
alike; the playback of measured runs and the pools of a plan take the same row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import Field

from planner.catalog.store import Catalog
from planner.catalog.tables import TableRow, read_table
from planner.deployment import Deployment
from planner.evidence import Evidence, weakest
from planner.performance.factors import Calibration
from planner.performance.paced import PacedSteps
from planner.performance.replica_steps import replica_steps
from planner.performance.steps import StepModel
from planner.performance.traits import Traits

FILE = "prefill_pace.csv"
MEASURED_ON = ("moe", "latent")  # experts and mixer of the model behind the table
WIDEST_GPUS = 8  # of one prefill replica among the runs behind the table
FEWEST_RUNS = 5  # a row of fewer runs makes no pool of a plan faster than its kernels


class PaceRow(TableRow):
    """One layout; empty columns match any. ``times``: as long as predicted, at prompts of ``prompt_tokens``.

    weights: the format of the experts ("fp8", "nvfp4", ...); prefill_ranks: "one" or "several"
    attention-DP ranks; prefill_gpus: of one prefill replica; runs: behind the row, 0 for a stated one.
    """

    engine: str = ""
    vendor: str = ""
    gpu: str = ""
    weights: str = ""
    prefill_ranks: str = ""
    prefill_gpus: int | None = Field(default=None, gt=0)
    prompt_tokens: int | None = Field(default=None, gt=0)
    times: float = Field(gt=0)
    runs: int = Field(ge=0)
    source: str

    @property
    def layout(self) -> dict[str, object]:
        """Every column that a layout has to match."""
        names = ("engine", "vendor", "gpu", "weights", "prefill_ranks", "prefill_gpus")
        return {name: getattr(self, name) for name in names}

    def covers(self, facts: Mapping[str, object]) -> bool:
        """Whether a layout matches every column that the row states."""
        return all(value in ("", None, facts[name]) for name, value in self.layout.items())


@dataclass(frozen=True, slots=True)
class PrefillPace:
    """How many times as long as predicted the steps of one pool take; runs: fewest behind it."""

    times: float
    evidence: Evidence
    runs: int = 0


@lru_cache(maxsize=8)
def read_paces(path: Path) -> tuple[PaceRow, ...]:
    """The rows of the table in order; none where a catalog has no such file. Raises CatalogError."""
    return read_table(path, PaceRow) if path.exists() else ()


def prefill_pace(
    root: Path, prefill: Deployment, traits: Traits, prompt_tokens: float
) -> PrefillPace | None:
    """The pace of a pool of these replicas at prompts of that length; None where no row speaks for it.

    prompt_tokens: the mean prompt [tokens].

    The first row that covers the layout counts, and those of the same layout at other prompt lengths:
    between two lengths the logarithm of the pace is interpolated in that of the length, beyond them it
    stays. Pools of more than ``WIDEST_GPUS`` a replica have none: what is published of prompts on 32 H100s
    keeps the pace of its kernels. It is ``calibrated`` for models whose experts and attention are those
    that were measured, ``modelled`` for others with experts and by a stated row; dense models have none.
    """
    if traits.experts != MEASURED_ON[0] or prefill.gpus > WIDEST_GPUS:
        return None
    facts = {
        "engine": traits.engine,
        "vendor": traits.vendor,
        "gpu": traits.gpu,
        "weights": traits.kernels[0],
        "prefill_ranks": "several" if prefill.data_parallel > 1 else "one",
        "prefill_gpus": prefill.gpus,
    }
    rows = read_paces(root / "calibration" / FILE)
    first = next((row for row in rows if row.covers(facts)), None)
    if first is None:
        return None
    known = traits.kernels[1:] == MEASURED_ON and first.runs > 0
    near = sorted(
        (row for row in rows if row.layout == first.layout), key=lambda row: row.prompt_tokens or 0
    )
    return PrefillPace(
        _between(near, prompt_tokens),
        Evidence.CALIBRATED if known else Evidence.MODELLED,
        min(row.runs for row in near),
    )


def pool_steps(
    prefill: Deployment, calibration: Calibration, catalog: Catalog, prompt_tokens: float
) -> StepModel:
    """The steps of a plan's prefill pool: those of its replica at the pace of measured pools.

    prompt_tokens: the mean prompt [tokens].

    Where fewer than ``FEWEST_RUNS`` runs say that a pool is faster than its kernels, it is as fast as they.
    """
    steps = replica_steps(prefill, calibration)
    pace = prefill_pace(catalog.root, prefill, calibration.traits(prefill), prompt_tokens)
    if pace is None:
        return steps
    if pace.runs < FEWEST_RUNS:
        pace = replace(pace, times=max(pace.times, 1.0))
    return PacedSteps(steps, pace.times, weakest((steps.evidence, pace.evidence)))


def pace_of(steps: StepModel) -> float:
    """How many times as long as predicted a pool's steps take, 1 where no pace was measured."""
    return steps.pace if isinstance(steps, PacedSteps) else 1.0


def _between(rows: list[PaceRow], prompt_tokens: float) -> float:
    """The pace at a prompt length, of rows of one layout in order of theirs."""
    if len(rows) == 1:
        return rows[0].times
    at = np.log([float(row.prompt_tokens or 1) for row in rows])
    paces = np.log([row.times for row in rows])
    return round(float(np.exp(np.interp(math.log(max(prompt_tokens, 1.0)), at, paces))), 6)
