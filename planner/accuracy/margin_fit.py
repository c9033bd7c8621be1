"""Margins by evidence grade from left-out errors: quantiles, and how often they cover what was left out.

``left_out_errors.csv`` holds log(measured / predicted) TPOT of every measured run, by fits that had not
seen its model on its GPU, nor its engine on its GPU generation; ``left_out_errors_amd.csv`` the same of
the layer for AMD's devices. Every group of runs has equal weight: a plan
is one deployment, whose runs are all too fast or all too slow together.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from planner.accuracy.metrics import weighted_quantiles
from planner.accuracy.samples import Floats
from planner.accuracy.shipped import ShippedFit
from planner.accuracy.vendor_fit import VendorFit
from planner.catalog.tables import read_text
from planner.errors import CatalogError

FILE = "left_out_errors.csv"
COLUMNS = ("model", "gpu", "engine", "generation", "known", "in_sample", "left_out", "far")
LEVELS = (0.5, 0.8, 0.9, 0.95)
SIZED_AT = 0.8
FEWEST_GROUPS = 8
SCORE = 1.645  # of the normal distribution at 0.95: a two-sided interval of 90 %
MAX_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class LeftOutError:
    """One run: log(measured / predicted) TPOT in sample, its model left out, its engine left out.

    known: whether other groups carry its engine, format and kernels, as the grade ``calibrated`` says.
    Runs of offline batches, which have no TPOT, have the error of their makespan.
    """

    model: str
    gpu: str
    engine: str
    generation: str
    known: bool
    in_sample: float
    left_out: float
    far: float


@dataclass(frozen=True, slots=True)
class GradeErrors:
    """Errors by left-out group behind one grade."""

    groups: Mapping[object, Floats]

    def quantiles(
        self, without: object = None, levels: Sequence[float] = LEVELS
    ) -> tuple[float, ...]:
        """One-sided quantiles, every group having equal weight, ``without`` one of them."""
        kept = [errors for group, errors in self.groups.items() if group != without]
        values = np.concatenate(kept)
        weights = np.concatenate([np.full(len(errors), 1 / len(errors)) for errors in kept])
        return tuple(float(q) for q in weighted_quantiles(values, weights, levels))

    def coverage(self, level: float = SIZED_AT) -> float:
        """Share of left-out runs within the quantile of the other groups, in the mean over groups."""
        at = LEVELS.index(level)
        held = [
            float((errors <= max(self.quantiles(group)[at], 0.0)).mean())
            for group, errors in self.groups.items()
        ]
        return float(np.mean(held))

    def outside(self, level: float) -> tuple[float, float]:
        """Shares of left-out runs below and above the interval of the other groups, in the mean over groups.

        The interval holds a share ``level`` between equal tails, and the prediction itself.
        """
        tails = ((1 - level) / 2, (1 + level) / 2)
        below, above = [], []
        for group, errors in self.groups.items():
            low, high = self.quantiles(group, tails)
            below.append((errors < min(low, 0.0)).mean())
            above.append((errors > max(high, 0.0)).mean())
        return float(np.mean(below)), float(np.mean(above))

    @property
    def passed(self) -> bool:
        """Whether the coverage agrees with the level it is for, groups counting as trials."""
        low, high = binomial_interval(self.coverage(), len(self.groups))
        return len(self.groups) >= FEWEST_GROUPS and low <= SIZED_AT <= high


def binomial_interval(share: float, trials: int) -> tuple[float, float]:
    """Wilson's interval of 90 % around a share seen in so many trials."""
    z2 = SCORE * SCORE
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    spread = share * (1 - share) / trials + z2 / (4 * trials * trials)
    reach = SCORE * float(np.sqrt(spread)) / (1 + z2 / trials)
    return middle - reach, middle + reach


def errors_by_grade(rows: Sequence[LeftOutError]) -> dict[str, GradeErrors]:
    """The errors that speak for each grade that measurements speak for.

    measured: in sample. calibrated: models left out whose kernels others carry. modelled: engines left
    out on a whole GPU generation.
    """
    return {
        "measured": _grouped((_pair(r), r.in_sample) for r in rows),
        "calibrated": _grouped((_pair(r), r.left_out) for r in rows if r.known),
        "modelled": _grouped(((r.engine, r.generation), r.far) for r in rows),
    }


def _pair(row: LeftOutError) -> object:
    return row.model, row.gpu


def _grouped(errors: Iterable[tuple[object, float]]) -> GradeErrors:
    found: dict[object, list[float]] = {}
    for group, error in errors:
        found.setdefault(group, []).append(error)
    return GradeErrors({group: np.array(values) for group, values in found.items()})


def left_out_errors(done: ShippedFit | VendorFit) -> list[LeftOutError]:
    """The errors of a fit and of its cross-validations, run by run; none of a fit that has no such."""
    if done.left_out is None or done.far is None:
        return []
    return [
        LeftOutError(
            model=sample.point.model,
            gpu=sample.point.gpu,
            engine=sample.traits.engine,
            generation=sample.traits.generation,
            known=bool(known),
            in_sample=round(float(np.log(sample.tpot_s / own)), 4),
            left_out=round(float(np.log(sample.tpot_s / left)), 4),
            far=round(float(np.log(sample.tpot_s / far)), 4),
        )
        for sample, known, own, left, far in zip(
            done.samples,
            done.known,
            done.tpot_s,
            done.left_out.tpot_s,
            done.far.tpot_s,
            strict=True,
        )
    ]


def write_left_out_errors(rows: Iterable[LeftOutError], path: Path) -> None:
    """Write the table that ``read_left_out_errors`` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for r in rows:
            flag = "true" if r.known else "false"
            writer.writerow(
                (r.model, r.gpu, r.engine, r.generation, flag, r.in_sample, r.left_out, r.far)
            )


def file_of(vendor: str = "") -> str:
    """The file of left-out errors: of the shipped fit, or of a vendor's layer over it."""
    return f"left_out_errors_{vendor}.csv" if vendor else FILE


def read_left_out_errors(folder: Path, vendor: str = "") -> list[LeftOutError]:
    """The errors of a calibration folder, of one vendor's layer where one is named.

    Raises CatalogError.
    """
    path = folder / file_of(vendor)
    reader = csv.DictReader(read_text(path, MAX_BYTES, CatalogError).splitlines())
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise CatalogError("wrong columns", where=str(path), allowed=", ".join(COLUMNS))
    try:
        return [
            LeftOutError(
                row["model"],
                row["gpu"],
                row["engine"],
                row["generation"],
                row["known"] == "true",
                float(row["in_sample"]),
                float(row["left_out"]),
                float(row["far"]),
            )
            for row in reader
        ]
    except ValueError as error:
        raise CatalogError(str(error), where=str(path)) from None
