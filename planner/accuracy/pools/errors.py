"""Errors over disaggregated runs: of every measure, by engine and GPU, medians over runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.accuracy.measures import Measure
from planner.accuracy.point import MeasuredPoint
from planner.accuracy.validation import Predictor

MEASURES = (
    ("TTFT p50", Measure("ttft", 50.0)),
    ("TTFT p99", Measure("ttft", 99.0)),
    ("TPOT p50", Measure("tpot", 50.0)),
    ("TPOT p99", Measure("tpot", 99.0)),
    ("gap between tokens, p99", Measure("itl", 99.0)),
    ("end to end, p50", Measure("e2e", 50.0)),
    ("output per decode GPU", Measure("output_tokens_per_s_per_gpu")),
)
FEW_IN_FLIGHT = 64


@dataclass(frozen=True, slots=True)
class PoolRun:
    """A disaggregated run and everything that is predicted of it [s, tokens/s]."""

    point: MeasuredPoint
    predicted: Mapping[Measure, float]

    def off(self, measure: Measure) -> float | None:
        """How far off a measure is, as a share of what was measured; None where it was not."""
        measured = self.point.measures.get(measure)
        return None if not measured else abs(self.predicted[measure] / measured - 1)


def pool_runs(points: Iterable[MeasuredPoint], predictor: Predictor) -> list[PoolRun]:
    """Predictions of every disaggregated run; takes minutes."""
    return [
        PoolRun(point, predictor.values(point)) for point in points if point.prefill is not None
    ]


def median_off(runs: Sequence[PoolRun], measure: Measure) -> tuple[int, float | None]:
    """How many of the runs recorded a measure, and how far off it is in the median over them."""
    known = [off for run in runs if (off := run.off(measure)) is not None]
    return len(known), float(np.median(known)) if known else None


def by_engine_and_gpu(runs: Iterable[PoolRun]) -> dict[tuple[str, str], list[PoolRun]]:
    """The runs of each engine on each GPU type."""
    found: dict[tuple[str, str], list[PoolRun]] = {}
    for run in runs:
        found.setdefault((run.point.engine, run.point.gpu), []).append(run)
    return dict(sorted(found.items()))
