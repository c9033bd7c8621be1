"""A step model of which every step is off by the same factor, as a margin or an interval says."""

from __future__ import annotations

from dataclasses import dataclass

from planner.performance.derived import DerivedSteps
from planner.performance.steps import Number, StepBatch, StepTimes


@dataclass(frozen=True, slots=True)
class SlowedSteps(DerivedSteps):
    """Every step takes ``factor`` times as long; so does admission."""

    factor: float

    @property
    def admission_s(self) -> float:
        """Time from a request's arrival until the engine may schedule it [s], part of TTFT."""
        return self.factor * self.steps.admission_s

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]."""
        return self.steps.step_times(batch).times(self.factor)

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        return self.factor * self.steps.step_seconds(batch)
