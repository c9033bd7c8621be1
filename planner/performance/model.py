"""The step model of one deployment: its loads, its factors, and what stands behind them."""

from __future__ import annotations

from dataclasses import dataclass

from planner.deployment import Deployment
from planner.evidence import Evidence, Interval
from planner.performance import roofline
from planner.performance.factors import Calibration, Residuals
from planner.performance.loads import loads_of
from planner.performance.roofline import Factors, Loads
from planner.performance.steps import Number, StepBatch, StepTimes


@dataclass(frozen=True, slots=True)
class CalibratedStepModel:
    """Step times of one replica; see ``planner.performance.steps.StepModel``.

    admission_s: time from a request's arrival until the engine may schedule it [s], part of TTFT.
    """

    loads: Loads
    factors: Factors
    evidence: Evidence
    distance: str
    residuals: Residuals

    @property
    def admission_s(self) -> float:
        return float(self.factors.admission_s)

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]."""
        return roofline.step_times(self.loads, self.factors, batch)

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        return roofline.step_times(self.loads, self.factors, batch).total_s

    def interval(self, seconds: float, kind: str, level: float = 0.8) -> Interval:
        """The prediction interval around a predicted ``kind`` ("ttft" or "tpot") of ``seconds`` [s]."""
        return self.residuals.interval(seconds, kind, self.distance, level)


def step_model(deployment: Deployment, calibration: Calibration) -> CalibratedStepModel:
    """Return the step model of a deployment under a calibration."""
    traits = calibration.traits(deployment)
    return CalibratedStepModel(
        loads=loads_of(deployment),
        factors=calibration.factors_for(traits),
        evidence=calibration.evidence(deployment.model.name, traits),
        distance=calibration.distance(deployment.model.name, traits),
        residuals=calibration.residuals,
    )
