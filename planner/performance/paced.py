"""Step models whose steps all take the same number of times as long."""

from __future__ import annotations

from dataclasses import dataclass

from planner.evidence import Evidence
from planner.performance.derived import DerivedSteps
from planner.performance.steps import Number, StepBatch, StepTimes


@dataclass(frozen=True, slots=True)
class PacedSteps(DerivedSteps):
    """Every step takes ``pace`` times as long; ``grade``: the evidence behind both."""

    pace: float
    grade: Evidence

    @property
    def evidence(self) -> Evidence:
        """The grade of the steps at that pace."""
        return self.grade

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]."""
        return self.steps.step_times(batch).times(self.pace)

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        return self.steps.step_seconds(batch) * self.pace
