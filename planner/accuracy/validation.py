"""Predicting measured points the way they were measured, and summing up how well that went."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from planner.accuracy.conditions import Setup, faster_than_possible, setup_of
from planner.accuracy.measures import MS, TPOT, TTFT, Measure
from planner.accuracy.metrics import Floats, errors_if_any, mean_rank_correlation
from planner.accuracy.playback import Playback, measured_times, needs_requests
from planner.accuracy.point import LoadKind, MeasuredPoint
from planner.accuracy.points import PointRow, PointTable
from planner.accuracy.step_error import (
    AS_PREDICTED,
    MeasureErrorRow,
    Off,
    Values,
    beyond_steps,
    errors,
    intervals,
    read_measure_errors,
)
from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.errors import PlannerError
from planner.evidence import Evidence, Interval, weakest
from planner.one_by_one import Counted, one_by_one
from planner.performance.factors import Calibration
from planner.performance.guard import check, floors
from planner.performance.model import CalibratedStepModel, step_model
from planner.sizing.legality import legal_reasons
from planner.sizing.sharding import rank_weight_bytes
from planner.units import GB

LEVEL = 0.8
_NO_LAUNCH = "predicted, though no plan would launch it"


@dataclass(frozen=True, slots=True)
class PointPrediction:
    """Mean TTFT and TPOT of one point [ms] with their intervals, and every measure it recorded.

    values: in seconds and tokens/s, by measure; intervals: around each of them, and around mean TTFT and
    TPOT, from the run played with its steps at both ends of their interval. tpot_ms is nan, and has no
    interval, for answers of one token.
    """

    ttft_ms: float
    tpot_ms: float
    evidence: Evidence
    values: Mapping[Measure, float] = field(default_factory=dict)
    intervals: Mapping[Measure, Interval] = field(default_factory=dict)

    @property
    def ttft_interval(self) -> Interval:
        """Around the mean TTFT [ms]."""
        return _in_ms(self.intervals[TTFT])

    @property
    def tpot_interval(self) -> Interval | None:
        """Around the mean TPOT [ms]."""
        return None if TPOT not in self.intervals else _in_ms(self.intervals[TPOT])

    def tokens_per_s_per_gpu(self, point: MeasuredPoint) -> float:
        return point.tokens_per_s_per_gpu(self.ttft_ms, self.tpot_ms)


@dataclass(frozen=True, slots=True)
class ValidatedRow:
    """A row of the table with its prediction, or why it has none."""

    row: PointRow
    prediction: PointPrediction | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors over a set of points [%]: per quantity the mean, the median and the bias.

    tpot, ttft: of the means, or of the medians of points that recorded no mean; measures: of every
    recorded quantity under its canonical name, with the number of points that have it.
    rank_correlation: Spearman of throughput per GPU within a workload (same model, prompt and output
    lengths), averaged over workloads; coverage: share of points inside their interval.
    """

    points: int
    tpot: Mapping[str, float | None]
    ttft: Mapping[str, float | None]
    throughput: Mapping[str, float | None]
    rank_correlation: float | None
    tpot_coverage: float | None
    ttft_coverage: float | None
    measures: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Validation:
    """Every row, the errors over all, and over each model x GPU x engine x weights.

    stopped: not every row, after Ctrl-C.
    """

    rows: tuple[ValidatedRow, ...]
    summary: Errors | None
    groups: tuple[tuple[tuple[str, str, str, str], Errors], ...]
    level: float
    warnings: tuple[str, ...]
    stopped: bool = False

    def worst(self, count: int = 10) -> list[ValidatedRow]:
        """The rows whose TPOT is furthest off, worst first."""
        good = [row for row in self.rows if row.prediction is not None]
        return sorted(good, key=_error, reverse=True)[:count]

    @property
    def failures(self) -> list[ValidatedRow]:
        return [row for row in self.rows if row.prediction is None]


def validate(
    table: PointTable,
    catalog: Catalog,
    calibration: Calibration,
    level: float = LEVEL,
    progress: Counted | None = None,
    *,
    keeps: bool = False,
) -> Validation:
    """Predict every point of a table and compare; ``keeps``: Ctrl-C ends it with the rows that are there."""
    predictor = Predictor(catalog, calibration, level)
    rows = tuple(
        one_by_one(
            table.rows,
            lambda row: _validated(row, predictor),
            lambda row: f"line {row.line}",
            progress,
            keeps=keeps,
        )
    )
    pairs = [(r.row.point, r.prediction) for r in rows if r.row.point and r.prediction]
    groups: dict[tuple[str, str, str, str], list[tuple[MeasuredPoint, PointPrediction]]] = {}
    for point, prediction in pairs:
        groups.setdefault(point.group, []).append((point, prediction))
    return Validation(
        rows=rows,
        summary=errors_of(pairs) if pairs else None,
        groups=tuple((key, errors_of(members)) for key, members in sorted(groups.items())),
        level=level,
        warnings=(*table.warnings, *_doubts(rows, catalog, calibration)),
        stopped=len(rows) < len(table.rows),
    )


def _doubts(
    rows: Iterable[ValidatedRow], catalog: Catalog, calibration: Calibration
) -> Iterator[str]:
    """What makes one doubt that runs were as their rows say, of each reason the first line."""
    lines: dict[str, list[int]] = {}
    for found in rows:
        point = found.row.point
        if point is None or found.prediction is None:
            continue
        deployment = setup_of(point, catalog, calibration).deployment
        longest, most = (
            point.prompt_tokens + point.output_tokens,
            deployment.model.max_context_tokens,
        )
        reasons = [f"{_NO_LAUNCH}: {reason}" for reason in legal_reasons(deployment)]
        if most and longest > most:
            text = f"{longest:,} tokens of a request, the model takes {most:,}"
            reasons.append(f"{_NO_LAUNCH}: {text}")
        reasons += _beyond_the_gpu(point, deployment)
        for reason in reasons:
            lines.setdefault(reason, []).append(found.row.line)
    for reason, where in lines.items():
        first = "line" if len(where) == 1 else f"{len(where)} rows, first line"
        yield f"{first} {where[0]}: {reason}"


def _beyond_the_gpu(point: MeasuredPoint, deployment: Deployment) -> Iterator[str]:
    """Weights that its memory does not hold, and tokens that came sooner than it reads them."""
    held, has = rank_weight_bytes(deployment), deployment.gpu.visible_bytes
    if held > has:
        text = f"{held / GB:,.1f} GB of weights on each GPU, which has {has / GB:,.1f} GB"
        yield f"{_NO_LAUNCH}: {text}"
    if impossible := faster_than_possible(point, deployment):
        yield impossible


class Predictor:
    """Predicts points; deployments and runs that several points share are built once."""

    def __init__(
        self,
        catalog: Catalog,
        calibration: Calibration,
        level: float = LEVEL,
        *,
        steps_alone: bool = False,
    ) -> None:
        """``steps_alone``: intervals are of the steps, without what measures are off by beyond them."""
        self._catalog, self._calibration, self._level = catalog, calibration, level
        known = () if steps_alone else read_measure_errors(catalog.root / "calibration")
        self._beyond: tuple[MeasureErrorRow, ...] = known
        self._playback = Playback()

    def predict(self, point: MeasuredPoint) -> PointPrediction:
        """Return the prediction of one point.

        Raises InputError for names or layouts the planner does not know, PhysicsBreach on a bug.
        """
        run = self._run(point)
        values = run.values(AS_PREDICTED)
        run.check(values)
        return PointPrediction(
            ttft_ms=values[TTFT] * MS,
            tpot_ms=values[TPOT] * MS,
            evidence=_grade(run.steps.evidence, run.setup),
            values={measure: values[measure] for measure in point.measures},
            intervals=run.intervals(values, self._level),
        )

    def values(self, point: MeasuredPoint) -> dict[Measure, float]:
        """What ``predict`` predicts of the measures of a point, without playing it again for intervals."""
        run = self._run(point)
        values = run.values(AS_PREDICTED)
        run.check(values)
        return {measure: values[measure] for measure in point.measures}

    def _run(self, point: MeasuredPoint) -> _PointRun:
        setup = setup_of(point, self._catalog, self._calibration)
        return _PointRun(
            point=point,
            setup=setup,
            steps=self._steps(setup, setup.deployment),
            first=None if setup.prefill is None else self._steps(setup, setup.prefill),
            playback=self._playback,
            beyond=self._beyond,
        )

    def _steps(self, setup: Setup, deployment: Deployment) -> CalibratedStepModel:
        """The step model of one pool, without launches where the run had graphs of all it ran."""
        steps = step_model(deployment, self._calibration)
        stated = deployment.settings.graphs_max_batch is not None
        return replace(steps, graphs=None) if setup.captured and not stated else steps


@dataclass(frozen=True, slots=True)
class _PointRun:
    """One point ready to be played; first: the steps of a pool that prefills."""

    point: MeasuredPoint
    setup: Setup
    steps: CalibratedStepModel
    first: CalibratedStepModel | None
    playback: Playback
    beyond: tuple[MeasureErrorRow, ...]

    def values(self, off: Off) -> dict[Measure, float]:
        """Everything the point measured, mean TTFT and TPOT in any case; seconds and tokens/s."""
        point = self.point
        setup = self.setup if off.tokens == 1 else self.setup.yielding(off.tokens)
        if not needs_requests(point):
            burst_s = self.setup.first_burst_s if point.load is LoadKind.CLOSED else 0.0
            exact = self.steps.graphs is not None and bool(self.steps.graphs.sizes)
            run = self.playback.run(setup, point, condensed=not exact)
            ttft_s, tpot_s = measured_times(run, self.steps, burst_s, off)
            return {TTFT: ttft_s, TPOT: tpot_s}
        outcome = self.playback.outcome(setup, point, self.steps, self.first, off)
        return {measure: outcome.value(measure) for measure in {TTFT, TPOT, *point.measures}}

    def intervals(self, predicted: Values, level: float) -> dict[Measure, Interval]:
        """Around everything predicted, as far off as the steps and what was not recorded may be."""
        each = errors(self.steps, self.first, self.setup.tokens_spread, level)
        return intervals(predicted, self.values, each, beyond_steps(self.beyond, self.point, level))

    def check(self, values: Values) -> None:
        """Raise PhysicsBreach where a predicted time beats its floor."""
        deployment, point = self.setup.deployment, self.point
        floor, where = floors(deployment), deployment.label
        if not math.isnan(values[TPOT]):
            check(values[TPOT], floor.tpot_s(0.0), "predicted TPOT", where=where)
        if self.setup.prefill is None and point.lengths is None:
            shortest = int(self.setup.shortest_length * point.prompt_tokens)
            check(values[TTFT], floor.ttft_s(shortest), "predicted TTFT", where=where)


def errors_of(pairs: Sequence[tuple[MeasuredPoint, PointPrediction]]) -> Errors:
    """Return the errors over some points and their predictions."""
    measured, predicted = _by_measure(pairs)
    ttft, ttft_measured, ttft_intervals = _typical(pairs, "ttft")
    tpot, tpot_measured, tpot_intervals = _typical(pairs, "tpot")
    timed = [(p, q) for p, q in pairs if {TTFT, TPOT} <= set(p.measures) and p.concurrency]
    rate = [q.tokens_per_s_per_gpu(p) for p, q in timed]
    rate_measured = [p.tokens_per_s_per_gpu(p.ttft_ms, p.tpot_ms) for p, _ in timed]
    return Errors(
        points=len(pairs),
        tpot=errors_if_any(tpot, tpot_measured),
        ttft=errors_if_any(ttft, ttft_measured),
        throughput=errors_if_any(np.array(rate), np.array(rate_measured)),
        rank_correlation=mean_rank_correlation((p.workload for p, _ in timed), rate, rate_measured),
        tpot_coverage=_coverage(tpot_intervals, tpot_measured.tolist()),
        ttft_coverage=_coverage(ttft_intervals, ttft_measured.tolist()),
        measures={
            measure.name: {
                "points": len(values),
                **errors_if_any(np.array(predicted[measure]), np.array(values)),
                "coverage": _covered(pairs, measure),
            }
            for measure, values in measured.items()
        },
    )


def _grade(evidence: Evidence, setup: Setup) -> Evidence:
    """The grade of the step times, or ``assumed`` where the run left out what its speed depends on."""
    return weakest((evidence, Evidence.ASSUMED)) if setup.assumed else evidence


def _by_measure(
    pairs: Sequence[tuple[MeasuredPoint, PointPrediction]],
) -> tuple[dict[Measure, list[float]], dict[Measure, list[float]]]:
    """Measured and predicted values by measure, of the points that have both."""
    measured: dict[Measure, list[float]] = {}
    predicted: dict[Measure, list[float]] = {}
    for point, prediction in pairs:
        for measure, value in sorted(point.measures.items(), key=lambda item: item[0].name):
            if prediction.values.get(measure, 0.0) > 0:
                measured.setdefault(measure, []).append(value)
                predicted.setdefault(measure, []).append(prediction.values[measure])
    return measured, predicted


def _typical(
    pairs: Sequence[tuple[MeasuredPoint, PointPrediction]], metric: str
) -> tuple[Floats, Floats, list[Interval]]:
    """Predicted and measured mean (else median) of a latency [s], and the intervals around them."""
    predicted, measured, around = [], [], []
    for point, prediction in pairs:
        measure = point.typical(metric)
        if measure is None or not prediction.values[measure] > 0:
            continue
        predicted.append(prediction.values[measure])
        measured.append(point.measures[measure])
        around.append(prediction.intervals[measure])
    return np.array(predicted), np.array(measured), around


def _covered(
    pairs: Sequence[tuple[MeasuredPoint, PointPrediction]], measure: Measure
) -> float | None:
    """Share of the points that recorded a measure inside its interval."""
    known = [
        (prediction.intervals[measure], point.measures[measure])
        for point, prediction in pairs
        if measure in point.measures and measure in prediction.intervals
    ]
    return _coverage([around for around, _ in known], [value for _, value in known])


def _validated(row: PointRow, predictor: Predictor) -> ValidatedRow:
    if row.point is None:
        return ValidatedRow(row, None, row.error)
    try:
        return ValidatedRow(row, predictor.predict(row.point), None)
    except PlannerError as problem:
        return ValidatedRow(row, None, str(problem))


def _coverage(around: Sequence[Interval], measured: Sequence[float]) -> float | None:
    inside = [i.low <= value <= i.high for i, value in zip(around, measured, strict=True)]
    return sum(inside) / len(inside) if inside else None


def _in_ms(interval: Interval) -> Interval:
    return Interval(interval.level, interval.low * MS, interval.high * MS)


def _error(row: ValidatedRow) -> float:
    """How far off the TPOT of a row is, as a share; its worst measure where it has no TPOT."""
    assert row.prediction is not None
    assert row.row.point is not None
    point, values = row.row.point, row.prediction.values
    tpot = point.typical("tpot")
    chosen = [tpot] if tpot is not None else list(point.measures)
    offs = [abs(values[m] / point.measures[m] - 1) for m in chosen if not math.isnan(values[m])]
    return max(offs, default=0.0)
