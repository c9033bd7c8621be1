"""Serving runs that others published with their conditions, and what is predicted for the same.

``catalogs/calibration/published_runs.csv``: runs of engine makers, clouds and users, in the columns of
``planner accuracy``. Nothing is fitted to them; they judge. A run is compared by one figure, the first of
``FIGURES`` that it was published with.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.accuracy.measures import TPOT, Measure
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.points import read_points
from planner.accuracy.validation import Predictor
from planner.catalog.store import Catalog
from planner.errors import CatalogError
from planner.evidence import Evidence
from planner.performance.factors import Calibration

FILE = "published_runs.csv"
OUTPUT, MAKESPAN = Measure("output_tokens_per_s"), Measure("makespan_s")
FIGURES = (OUTPUT, MAKESPAN, TPOT, Measure("tpot", 50.0))
MISSED_BEYOND = 1.4


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """A run and what is predicted of it. measure: the figure compared; both values in its unit.

    note: what its source leaves open, or why it is missed.
    """

    point: MeasuredPoint
    measure: Measure
    published: float
    predicted: float
    evidence: Evidence
    note: str

    @property
    def speed(self) -> float:
        """Predicted over published speed; above 1 the planner promises more than was measured."""
        ratio = self.predicted / self.published
        return ratio if self.measure == OUTPUT else 1.0 / ratio

    @property
    def missed(self) -> bool:
        """Whether the prediction is off by more than ``MISSED_BEYOND`` either way."""
        return not 1.0 / MISSED_BEYOND <= self.speed <= MISSED_BEYOND


def published_runs(catalog: Catalog, calibration: Calibration) -> list[PublishedRun]:
    """Predict every published run; raises CatalogError where the table has a row that cannot be."""
    predictor = Predictor(catalog, calibration)
    found = []
    for row in read_points(catalog.root / "calibration" / FILE).rows:
        if row.point is None:
            raise CatalogError(f"{FILE} line {row.line}: {row.error}")
        published = row.point.measures
        figure = next(measure for measure in FIGURES if measure in published)
        prediction = predictor.predict(row.point)
        found.append(
            PublishedRun(
                point=row.point,
                measure=figure,
                published=published[figure],
                predicted=prediction.values[figure],
                evidence=prediction.evidence,
                note=row.cells.get("note", ""),
            )
        )
    return found
