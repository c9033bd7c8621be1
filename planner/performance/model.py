"""The step model of one deployment: its loads, its factors, and the evidence for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from planner.deployment import Deployment
from planner.evidence import Evidence, Interval, StepLatency
from planner.performance import roofline
from planner.performance.beyond_measured import KernelGrowth
from planner.performance.drafting import DraftSteps, draft_steps
from planner.performance.factors import Calibration, Residuals
from planner.performance.graphs import CapturedBatches, captured_batches
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
    engine's own loop. graphs: the batches that run as captured graphs, None where all do or none does.
    growth: how steps grow beyond what fitted factors were measured at; None where kernels price them all,
    or none were measured.
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
    graphs: CapturedBatches | None = None
    growth: KernelGrowth | None = None

    @property
    def admission_s(self) -> float:
        """Time from a request's arrival until the engine may schedule it [s], part of TTFT."""
        return float(self.factors.admission_s) if self.kernels is None else self.kernels.admission_s

    @property
    def ttft_assumed(self) -> bool:
        """Whether the interval of TTFT rests on too few models to be more than assumed."""
        return self.distance in self.residuals.ttft_assumed

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
            times = self._by_factors(batch)
        times = self._waited(times, self._launched(batch, times.total_s))
        return times if self.drafting is None else self.drafting.added_to(times, batch)

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        if self.kernels is not None:
            seconds = self._whole(batch, self.kernels.step_seconds(batch))
        else:
            seconds = self._by_factors(batch).total_s
        seconds = self.host.at_least(self._launched(batch, seconds))
        return seconds if self.drafting is None else seconds + self.drafting.seconds(batch)

    def _by_factors(self, batch: StepBatch) -> StepTimes:
        """A step by the fitted factors, and by its kernels' growth beyond what those were measured at."""
        if self.growth is None or not self.growth.starts_in(batch):
            return roofline.step_times(self.loads, self.factors, batch)
        cut = self.growth.cut(batch)
        times = roofline.step_times(self.loads, self.factors, cut)
        return times.times(self.growth.factor(batch, cut))

    def _launched(self, batch: StepBatch, seconds: Number) -> Number:
        """A step of ``seconds``, with the launch of its layers beside it where it is not captured [s]."""
        if self.graphs is None:
            return seconds
        w = self.loads
        sequences = batch.decode_sequences / (w.data_parallel * w.pipeline_parallel)
        most = sequences.max() if isinstance(sequences, np.ndarray) else sequences
        if most <= self.graphs.every_to:
            return seconds
        share = self.graphs.launched(sequences)
        return roofline.beside_launches(w, self.factors, seconds, share)

    def _waited(self, times: StepTimes, launched_s: Number) -> StepTimes:
        """Parts of a step that waits for its launches and for the engine's loop; waiting is overhead."""
        total = self.host.at_least(launched_s)
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
        graphs=captured_batches(calibration.graphs, deployment),
        growth=calibration.growth(deployment, traits),
    )
