"""What LoRA adapters add to a step: their matrices read, their arithmetic, and their kernels.

``extra = hit bytes / bandwidth + 2 values tokens / peak + layers launch``, per GPU, with ``hit = L (1 - (1 -
1/L)^n)`` of ``L`` loaded adapters named by the ``n`` sequences of a step, each as likely as any other. The
launches per layer are one measurement of one kernel on one device (``catalogs/calibration/adapters.yaml``)
taken over to all, so that whatever is predicted with adapters is graded assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from planner.catalog.tables import IsoDate, read_yaml, validate_document
from planner.deployment import Deployment
from planner.evidence import Evidence
from planner.package_data import shipped_folder
from planner.performance.arithmetic import sixteen_bit
from planner.performance.factors import Calibration
from planner.performance.model import CalibratedStepModel, step_model
from planner.performance.steps import Number, StepBatch, StepTimes
from planner.sizing.adapters import LORA_BYTES, lora_bytes


class AdapterKernels(BaseModel):
    """The row of ``catalogs/calibration/adapters.yaml``; layer_us: launches of one layer's adapters [us]."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    layer_us: float = Field(ge=0)
    source: str = Field(min_length=1)
    as_of: IsoDate


@lru_cache(maxsize=1)
def adapter_kernels() -> AdapterKernels:
    """What adapters' kernels cost beside their work."""
    path = shipped_folder("catalogs") / "calibration" / "adapters.yaml"
    row = read_yaml(path)
    return validate_document(path, {**row, "as_of": str(row["as_of"])}, AdapterKernels)


@dataclass(frozen=True, slots=True)
class AdapterWork:
    """Work of adapters on one GPU.

    loaded: adapters held; bytes_each: of one [B]; flops_per_token: of any one; launch_s: of a step's
    kernels [s]; bandwidth_bytes_s, peak_flops_s: of the GPU; ranks: attention-DP ranks that share a step's
    sequences and tokens.
    """

    loaded: float
    bytes_each: float
    flops_per_token: float
    launch_s: float
    bandwidth_bytes_s: float
    peak_flops_s: float
    ranks: float = 1.0

    def seconds(self, batch: StepBatch) -> Number:
        """What a step with adapters takes longer [s]; nothing where nothing is worked on."""
        sequences = (np.asarray(batch.decode_sequences) + batch.prefill_sequences) / self.ranks
        tokens = (np.asarray(batch.decode_sequences) + batch.prefill_tokens) / self.ranks
        hit = self.loaded * (1 - (1 - 1 / self.loaded) ** np.maximum(sequences, 0.0))
        read = hit * self.bytes_each / self.bandwidth_bytes_s
        work = tokens * self.flops_per_token / self.peak_flops_s
        extra = np.where(tokens > 0, read + work + self.launch_s, 0.0)
        return extra if extra.ndim else float(extra)


def adapter_work(deployment: Deployment) -> AdapterWork:
    """The adapters' work of a deployment that holds at least one."""
    loaded = float(deployment.settings.lora_adapters)
    gpu, stages = deployment.gpu, deployment.pipeline_parallel
    each = lora_bytes(deployment) / loaded
    return AdapterWork(
        loaded=loaded,
        bytes_each=each,
        flops_per_token=2 * each / LORA_BYTES,
        launch_s=len(deployment.model.layers) / stages * adapter_kernels().layer_us * 1e-6,
        bandwidth_bytes_s=gpu.bandwidth_bytes_s,
        peak_flops_s=gpu.peak_flops(sixteen_bit(gpu)),
        ranks=float(deployment.data_parallel),
    )


@dataclass(frozen=True, slots=True)
class AdapterStepModel(CalibratedStepModel):
    """Step times of a replica that serves adapters of its base model."""

    adapters: AdapterWork | None = None

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]; the adapters' are overhead."""
        times = CalibratedStepModel.step_times(self, batch)
        extra = self._extra(batch)
        return replace(times, overhead_s=times.overhead_s + extra, total_s=times.total_s + extra)

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        return CalibratedStepModel.step_seconds(self, batch) + self._extra(batch)

    def _extra(self, batch: StepBatch) -> Number:
        return 0.0 if self.adapters is None else self.adapters.seconds(batch)


def with_adapters(deployment: Deployment, calibration: Calibration) -> CalibratedStepModel:
    """The step model of a deployment, with its adapters where it holds any."""
    plain = step_model(deployment, calibration)
    if not deployment.settings.lora_adapters:
        return plain
    own = {f.name: getattr(plain, f.name) for f in fields(CalibratedStepModel)}
    own["evidence"] = Evidence.ASSUMED
    return AdapterStepModel(**own, adapters=adapter_work(deployment))
