"""The step model of one deployment: its loads, its factors, and the evidence for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.deployment import Deployment
from planner.evidence import Evidence, Interval, StepLatency
from planner.performance import roofline
from planner.performance.drafting import DraftSteps, draft_steps
from planner.performance.factors import Calibration, Residuals
from planner.performance.host_time import NONE, HostTime, host_time
from planner.performance.kernels.model import KernelSteps
from planner.performance.loads import loads_of
from planner.performance.margins import Margin
from planner.performance.roofline import Factors, Loads
from planner.performance.steps import Number, StepBatch, StepTimes


@dataclass(frozen=True, slots=True)
class CalibratedStepModel:
    """Step times of one replica; see ``planner.performance.steps.StepModel``.

    admission_s: time from a request's arrival until the engine may schedule it [s], part of TTFT.
    kernels: prices the steps where set, and the factors of a roofline do where it is None. drafting: the
    passes of a draft model, beside the step that verifies; None where none of its own drafts. host: the
    engine's own loop.
    """

    loads: Loads
    factors: Factors
    evidence: Evidence
    distance: str
    residuals: Residuals
    margin: Margin
    kernels: KernelSteps | None = None
    drafting: DraftSteps | None = None
    host: HostTime = NONE

    @property
    def admission_s(self) -> float:
        """Time from a request's arrival until the engine may schedule it [s], part of TTFT."""
        return float(self.factors.admission_s) if self.kernels is None else self.kernels.admission_s

    @property
    def delivery_steps(self) -> float:
        """Decode steps between the computation of a first token and its delivery."""
        if self.kernels is None:
            return float(self.factors.delivery_steps)
        return self.kernels.delivery_steps

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]."""
        if self.kernels is not None:
            times = self.kernels.step_times(batch)
            times = replace(times, total_s=self._whole(batch, times.total_s))
        else:
            times = roofline.step_times(self.loads, self.factors, batch)
        times = self._waited(times)
        return times if self.drafting is None else self.drafting.added_to(times, batch)

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        if self.kernels is not None:
            seconds = self._whole(batch, self.kernels.step_seconds(batch))
        else:
            seconds = roofline.step_times(self.loads, self.factors, batch).total_s
        seconds = self.host.at_least(seconds)
        return seconds if self.drafting is None else seconds + self.drafting.seconds(batch)

    def _waited(self, times: StepTimes) -> StepTimes:
        """Parts of a step that is no shorter than the engine's loop; the wait for it is overhead."""
        total = self.host.at_least(times.total_s)
        waited = times.overhead_s + (total - times.total_s)
        return replace(times, overhead_s=waited, total_s=total)

    def _whole(self, batch: StepBatch, seconds: Number) -> Number:
        """The kernels' time, and what they know nothing of: host, drafts, launches without graphs [s]."""
        if self.host.serial_s:
            seconds = seconds + self.host.serial(batch)
        if not self.loads.draft_layers and not self.loads.uncaptured:
            return seconds
        return roofline.beside_kernels(self.loads, self.factors, batch, seconds)

    def interval(self, seconds: float, kind: StepLatency, level: float = 0.8) -> Interval:
        """The prediction interval around a predicted ``kind`` ("ttft" or "tpot") of ``seconds`` [s]."""
        return self.residuals.interval(seconds, kind, self.distance, level)


def step_model(deployment: Deployment, calibration: Calibration) -> CalibratedStepModel:
    """Return the step model of a deployment under a calibration."""
    traits = calibration.traits(deployment)
    kernels = calibration.kernel_steps(deployment, traits)
    name = deployment.model.name
    measured = kernels is not None and kernels.measured
    evidence = Evidence.KERNELS if measured else calibration.evidence(name, traits)
    distance = "kernels" if measured else calibration.distance(name, traits)
    return CalibratedStepModel(
        loads=loads_of(deployment),
        factors=calibration.factors_for(traits),
        evidence=evidence,
        distance=distance,
        residuals=calibration.residuals,
        margin=calibration.margin(evidence, distance, traits.vendor),
        kernels=kernels,
        drafting=draft_steps(deployment, calibration),
        host=host_time(calibration.host, deployment.engine),
    )
