"""How far off a measured run's steps may be, and what that makes of everything it measures.

An interval is of the step. A run is played again with its steps as quick and as slow as the ends of that
interval, so that a queue that a tenth more makes twice as long shows twice as long. TTFT is known less well
than a step: what its own quantile is wider by comes on top, in the requests' TTFT and in what contains it.

Two pools have two errors, and tokens of a speculative step that nobody recorded are a third. The run is
played for each by itself, and the logarithms of what they change add up in squares (independent errors, first
order).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from planner.accuracy.measures import Measure
from planner.evidence import Interval
from planner.performance.model import CalibratedStepModel

Values = Mapping[Measure, float]
NORMAL = NormalDist()


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
    predicted: Values, play: Callable[[Off], Values], off: Sequence[Ends], level: float
) -> dict[Measure, Interval]:
    """The interval around every predicted measure, from the run played at both ends of each error."""
    played = [(play(low), play(high)) for low, high in off]
    found = {}
    for measure, value in predicted.items():
        if not value > 0:
            continue
        moved = [[_moved(end[measure], value) for end in both] for both in played]
        down = math.hypot(*(min(*each, 0.0) for each in moved))
        up = math.hypot(*(max(*each, 0.0) for each in moved))
        found[measure] = Interval(level, value * math.exp(-down), value * math.exp(up))
    return found


def _moved(value: float, predicted: float) -> float:
    """log(value / predicted); 0 where the run played at an end has no such value."""
    return math.log(value / predicted) if value > 0 else 0.0
