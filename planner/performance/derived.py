"""A step model made from another: what it does not change is the other's."""

from __future__ import annotations

from dataclasses import dataclass

from planner.evidence import Evidence, Interval, StepLatency
from planner.performance.margins import Margin
from planner.performance.steps import Number, StepBatch, StepModel, StepTimes


@dataclass(frozen=True, slots=True)
class DerivedSteps:
    """The model ``steps``, of which a subclass changes what it says."""

    steps: StepModel

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
        return self.steps.admission_s

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]."""
        return self.steps.step_times(batch)

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        return self.steps.step_seconds(batch)

    def interval(self, seconds: float, kind: StepLatency, level: float = 0.8) -> Interval:
        """The prediction interval around a predicted ``kind`` of ``seconds`` [s]."""
        return self.steps.interval(seconds, kind, level)
