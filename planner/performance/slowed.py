"""A step model of which every step is off by the same factor, as a margin or an interval says."""

from __future__ import annotations

from dataclasses import dataclass

from planner.evidence import Evidence, Interval, StepLatency
from planner.performance.margins import Margin
from planner.performance.steps import Number, StepBatch, StepModel, StepTimes

LEVEL = 0.8


@dataclass(frozen=True, slots=True)
class SlowedSteps:
    """A step model every step of which takes ``factor`` times as long; so does admission."""

    steps: StepModel
    factor: float

    @property
    def evidence(self) -> Evidence:
        """The grade of the steps as predicted."""
        return self.steps.evidence

    @property
    def margin(self) -> Margin:
        """How much slower than predicted the steps may turn out."""
        return self.steps.margin

    @property
    def admission_s(self) -> float:
        """Time from a request's arrival until the engine may schedule it [s], part of TTFT."""
        return self.factor * self.steps.admission_s

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]."""
        t = self.steps.step_times(batch)
        f = self.factor
        return StepTimes(
            f * t.weights_s,
            f * t.kv_s,
            f * t.compute_s,
            f * t.collectives_s,
            f * t.overhead_s,
            f * t.total_s,
        )

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        return self.factor * self.steps.step_seconds(batch)

    def interval(self, seconds: float, kind: StepLatency, level: float = LEVEL) -> Interval:
        """The prediction interval around a predicted ``kind`` of ``seconds`` [s]."""
        return self.steps.interval(seconds, kind, level)
