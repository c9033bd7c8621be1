"""Predicting measured points the way they were measured, and summing up how well that went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.accuracy.conditions import setup_of
from planner.accuracy.metrics import mean_rank_correlation, percentage_errors
from planner.accuracy.playback import Playback, measured_times
from planner.accuracy.points import Point, PointRow, PointTable
from planner.catalog.store import Catalog
from planner.errors import PlannerError
from planner.evidence import Evidence, Interval
from planner.performance.factors import Calibration
from planner.performance.guard import check, floors
from planner.performance.model import step_model

LEVEL = 0.8
MS = 1e3


@dataclass(frozen=True, slots=True)
class Prediction:
    """Mean TTFT and TPOT of one point [ms] with their intervals."""

    ttft_ms: float
    tpot_ms: float
    ttft_interval: Interval
    tpot_interval: Interval
    evidence: Evidence

    def tokens_per_s_per_gpu(self, point: Point) -> float:
        return point.tokens_per_s_per_gpu(self.ttft_ms, self.tpot_ms)


@dataclass(frozen=True, slots=True)
class ValidatedRow:
    """A row of the table with its prediction, or why it has none."""

    row: PointRow
    prediction: Prediction | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors over a set of points [%]: per quantity the mean, the median and the bias.

    rank_correlation: Spearman of throughput per GPU within a workload (same model, prompt and output
    lengths), averaged over workloads; coverage: share of points inside their interval.
    """

    points: int
    tpot: Mapping[str, float]
    ttft: Mapping[str, float]
    throughput: Mapping[str, float]
    rank_correlation: float | None
    tpot_coverage: float
    ttft_coverage: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Every row, the errors over all, and over each model x GPU x engine x weights."""

    rows: tuple[ValidatedRow, ...]
    summary: Errors | None
    groups: tuple[tuple[tuple[str, str, str, str], Errors], ...]
    level: float
    warnings: tuple[str, ...]

    def worst(self, count: int = 10) -> list[ValidatedRow]:
        """The rows whose TPOT is furthest off, worst first."""
        good = [row for row in self.rows if row.prediction is not None]
        return sorted(good, key=_tpot_error, reverse=True)[:count]

    @property
    def failures(self) -> list[ValidatedRow]:
        return [row for row in self.rows if row.prediction is None]


def validate(
    table: PointTable, catalog: Catalog, calibration: Calibration, level: float = LEVEL
) -> Validation:
    """Predict every point of a table and compare."""
    predictor = Predictor(catalog, calibration, level)
    rows = tuple(_validated(row, predictor) for row in table.rows)
    pairs = [(r.row.point, r.prediction) for r in rows if r.row.point and r.prediction]
    groups: dict[tuple[str, str, str, str], list[tuple[Point, Prediction]]] = {}
    for point, prediction in pairs:
        groups.setdefault(point.group, []).append((point, prediction))
    return Validation(
        rows=rows,
        summary=errors_of(pairs) if pairs else None,
        groups=tuple((key, errors_of(members)) for key, members in sorted(groups.items())),
        level=level,
        warnings=table.warnings,
    )


class Predictor:
    """Predicts points; deployments and runs that several points share are built once."""

    def __init__(self, catalog: Catalog, calibration: Calibration, level: float = LEVEL) -> None:
        self._catalog, self._calibration, self._level = catalog, calibration, level
        self._playback = Playback()

    def predict(self, point: Point) -> Prediction:
        """Return the prediction of one point.

        Raises InputError for names or layouts the planner does not know, PhysicsBreach on a bug.
        """
        setup = setup_of(point, self._catalog, self._calibration)
        deployment = setup.deployment
        steps = step_model(deployment, self._calibration)
        ttft_s, tpot_s = measured_times(self._playback.run(setup, point), steps)
        floor = floors(deployment)
        where = deployment.label
        shortest = int(setup.shortest_length * point.prompt_tokens)
        check(tpot_s, floor.tpot_s(0.0), "predicted TPOT", where=where)
        check(ttft_s, floor.ttft_s(shortest), "predicted TTFT", where=where)
        return Prediction(
            ttft_ms=ttft_s * MS,
            tpot_ms=tpot_s * MS,
            ttft_interval=_in_ms(steps.interval(ttft_s, "ttft", self._level)),
            tpot_interval=_in_ms(steps.interval(tpot_s, "tpot", self._level)),
            evidence=steps.evidence,
        )


def errors_of(pairs: Sequence[tuple[Point, Prediction]]) -> Errors:
    """Return the errors over some points and their predictions."""
    points, predictions = [p for p, _ in pairs], [q for _, q in pairs]
    tpot = np.array([q.tpot_ms for q in predictions])
    ttft = np.array([q.ttft_ms for q in predictions])
    tpot_measured = np.array([p.tpot_ms for p in points])
    ttft_measured = np.array([p.ttft_ms for p in points])
    rate = [q.tokens_per_s_per_gpu(p) for p, q in pairs]
    rate_measured = [p.tokens_per_s_per_gpu(p.ttft_ms, p.tpot_ms) for p in points]
    return Errors(
        points=len(points),
        tpot=percentage_errors(tpot, tpot_measured),
        ttft=percentage_errors(ttft, ttft_measured),
        throughput=percentage_errors(np.array(rate), np.array(rate_measured)),
        rank_correlation=mean_rank_correlation((p.workload for p in points), rate, rate_measured),
        tpot_coverage=_coverage([q.tpot_interval for q in predictions], tpot_measured.tolist()),
        ttft_coverage=_coverage([q.ttft_interval for q in predictions], ttft_measured.tolist()),
    )


def _validated(row: PointRow, predictor: Predictor) -> ValidatedRow:
    if row.point is None:
        return ValidatedRow(row, None, row.error)
    try:
        return ValidatedRow(row, predictor.predict(row.point), None)
    except PlannerError as problem:
        return ValidatedRow(row, None, str(problem))


def _coverage(intervals: Sequence[Interval], measured: Sequence[float]) -> float:
    inside = [i.low <= value <= i.high for i, value in zip(intervals, measured, strict=True)]
    return sum(inside) / len(inside)


def _in_ms(interval: Interval) -> Interval:
    return Interval(interval.level, interval.low * MS, interval.high * MS)


def _tpot_error(row: ValidatedRow) -> float:
    assert row.prediction is not None
    assert row.row.point is not None
    return abs(row.prediction.tpot_ms / row.row.point.tpot_ms - 1)
