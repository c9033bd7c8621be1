"""How far off a measured run's steps may be, and what that makes of everything it measures.

An interval is of the step. A run is played again with its steps as quick and as slow as the ends of that
interval, so that a queue that a tenth more makes twice as long shows twice as long. TTFT is known less well
than a step: what its own quantile is wider by comes on top, in the requests' TTFT and in what contains it.

Two pools have two errors, and tokens of a speculative step that nobody recorded are a third. The run is
played for each by itself, and the logarithms of what they change add up in squares (independent errors, first
order).

Percentiles of closed loops, and whatever two pools do, are known less well than a step too, for what no step
time says: how cold a server was, which drafts are accepted, how prompts are spread. ``measure_errors.csv``
holds what was seen of that beyond the steps, and adds up likewise.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist

from pydantic import Field

from planner.accuracy.measures import Measure
from planner.accuracy.point import LoadKind, MeasuredPoint
from planner.catalog.tables import TableRow, read_table
from planner.evidence import Interval
from planner.performance.model import CalibratedStepModel

FILE = "measure_errors.csv"
INPUTS = ("percentile_points.csv", "kernel_fitted.json", "fitted_amd.json", "prefill_pace.csv")
TAIL = 60.0  # percentile from which on a latency is the tail's
Values = Mapping[Measure, float]
NORMAL = NormalDist()
KNOWN_AT = 0.8  # the level of the table


@dataclass(frozen=True, slots=True)
class Off:
    """How many times as much as predicted: the time of a step, that of steps that compute prompts (of the
    same replicas, or of a pool that only prefills) with what a cold server adds to them, TTFT beyond that,
    and tokens of a speculative step."""

    steps: float = 1.0
    prefill_steps: float = 1.0
    ttft: float = 1.0
    tokens: float = 1.0


Ends = tuple[Off, Off]


class MeasureErrorRow(TableRow):
    """How much further than its steps one kind of measure was off, at 80 %: logarithms, up and down.

    pools: "one" or "two"; drafts: "some" or "none"; metric: of a latency, or "rate"; tail: "yes" for
    percentiles above ``TAIL``; runs, groups: behind the row. made_from: of the fits and runs it was made
    from, see ``digest_of_inputs``.
    """

    pools: str
    drafts: str
    metric: str
    tail: str
    up: float = Field(ge=0)
    down: float = Field(ge=0)
    runs: int = Field(ge=0)
    groups: int = Field(ge=0)
    made_from: str = ""
    source: str


def digest_of_inputs(folder: Path) -> str:
    """A digest of the runs and fits that decide the table; another one says that it is stale."""
    digest = hashlib.sha256()
    for name in INPUTS:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=4)
def read_measure_errors(folder: Path) -> tuple[MeasureErrorRow, ...]:
    """The rows of a calibration folder, none where it has no such file; raises CatalogError."""
    path = folder / FILE
    return read_table(path, MeasureErrorRow) if path.exists() else ()


def is_tail(measure: Measure) -> bool:
    """Whether a measure is of the slowest requests."""
    return measure.percentile is not None and measure.percentile > TAIL


@dataclass(frozen=True, slots=True)
class Beyond:
    """What one run's measures were off by beyond its steps, at a level."""

    rows: tuple[MeasureErrorRow, ...]
    level: float

    def ends(self, measure: Measure) -> tuple[float, float]:
        """Down and up, as logarithms; 0 where nothing is known. Half as much for half the normal score."""
        metric = measure.metric if measure.is_latency else "rate"
        tail = "yes" if is_tail(measure) else "no"
        row = next((row for row in self.rows if (row.metric, row.tail) == (metric, tail)), None)
        if row is None:
            return 0.0, 0.0
        share = NORMAL.inv_cdf((1 + self.level) / 2) / NORMAL.inv_cdf((1 + KNOWN_AT) / 2)
        down, up = (row.down, row.up) if measure.metric != "makespan_s" else (row.up, row.down)
        return share * down, share * up


def beyond_steps(rows: Iterable[MeasureErrorRow], point: MeasuredPoint, level: float) -> Beyond:
    """What is known beyond the steps of one run: of closed loops alone, which is what was measured."""
    kind = "two" if point.prefill else "one", "some" if point.speculative else "none"
    closed = point.load is LoadKind.CLOSED
    return Beyond(tuple(r for r in rows if closed and (r.pools, r.drafts) == kind), level)


AS_PREDICTED = Off()


def errors(
    steps: CalibratedStepModel,
    prefill_steps: CalibratedStepModel | None,
    tokens_spread: float,
    level: float,
) -> tuple[Ends, ...]:
    """Both ends that hold with probability ``level`` of each error a run may have.

    Each pool has the quantiles of its own evidence; TTFT is that of the pool that prefills. tokens_spread:
    standard deviation of the logarithm of a speculative step's tokens, 0 where they are known.
    """
    first = prefill_steps or steps
    quick, slow = (math.exp(q) for q in first.residuals.ends("tpot", first.distance, level))
    early, late = (math.exp(q) for q in first.residuals.ends("ttft", first.distance, level))
    sooner, later = min(early / quick, 1.0), max(late / slow, 1.0)
    found: list[Ends] = []
    if prefill_steps is None:
        found.append((Off(quick, quick, sooner), Off(slow, slow, later)))
    else:
        own = (math.exp(q) for q in steps.residuals.ends("tpot", steps.distance, level))
        found.append((Off(prefill_steps=quick, ttft=sooner), Off(prefill_steps=slow, ttft=later)))
        found.append((Off(steps=next(own)), Off(steps=next(own))))
    if tokens_spread:
        reach = math.exp(NORMAL.inv_cdf((1 + level) / 2) * tokens_spread)
        found.append((Off(tokens=reach), Off(tokens=1 / reach)))
    return tuple(found)


def intervals(
    predicted: Values, play: Callable[[Off], Values], off: Sequence[Ends], beyond: Beyond
) -> dict[Measure, Interval]:
    """The interval around every predicted measure, from the run played at both ends of each error."""
    both_ends = [(play(low), play(high)) for low, high in off]
    found = {}
    for measure, value in predicted.items():
        if not value > 0:
            continue
        moved = [[_moved(end[measure], value) for end in both] for both in both_ends]
        lower, upper = beyond.ends(measure)
        down = math.hypot(*(min(*each, 0.0) for each in moved), lower)
        up = math.hypot(*(max(*each, 0.0) for each in moved), upper)
        found[measure] = Interval(beyond.level, value * math.exp(-down), value * math.exp(up))
    return found


def _moved(value: float, predicted: float) -> float:
    """log(value / predicted); 0 where the run played at an end has no such value."""
    return math.log(value / predicted) if value > 0 else 0.0
