"""Step models whose steps all take the same number of times as long."""

from __future__ import annotations

from dataclasses import dataclass, fields

from planner.evidence import Evidence, Interval, StepLatency
from planner.performance.margins import Margin
from planner.performance.steps import Number, StepBatch, StepModel, StepTimes


@dataclass(frozen=True, slots=True)
class PacedSteps:
    """``steps``, each ``pace`` times as long; evidence: the grade behind both."""

    steps: StepModel
    pace: float
    evidence: Evidence

    @property
    def admission_s(self) -> float:
        """Time from a request's arrival until the engine may schedule it [s], part of TTFT."""
        return self.steps.admission_s

    @property
    def margin(self) -> Margin:
        """How much slower than predicted its steps may turn out."""
        return self.steps.margin

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]."""
        times = self.steps.step_times(batch)
        return StepTimes(*(getattr(times, f.name) * self.pace for f in fields(StepTimes)))

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        return self.steps.step_seconds(batch) * self.pace

    def interval(self, seconds: float, kind: StepLatency, level: float = 0.8) -> Interval:
        """The prediction interval around a predicted ``kind`` of ``seconds`` [s]."""
        return self.steps.interval(seconds, kind, level)
