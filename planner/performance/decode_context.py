"""Step times of replicas whose tensor-parallel ranks divide each context (decode context parallelism).

A rank of degree c reads every c-th token of the cache, for the queries of all c ranks: their queries are
gathered and their partial outputs reduced, in each layer (vLLM docs/serving/context_parallel_deployment).
The cache's bytes fall to 1/c, the arithmetic over it stays. No such run was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from planner.catalog.model import LatentAttention, SoftmaxAttention, layer_counts
from planner.deployment import Deployment
from planner.evidence import Evidence
from planner.performance.adapters import AdapterStepModel
from planner.performance.factors import Calibration
from planner.performance.model import CalibratedStepModel
from planner.performance.steps import Number, StepBatch, StepTimes

QUERY_BYTES = 2.0
COLLECTIVES = 3.0  # queries gathered, outputs reduced, log-sums gathered


@dataclass(frozen=True, slots=True)
class DividedContext:
    """What dividing contexts over ``degree`` ranks changes of a step, of one GPU.

    bytes_per_token: queries and outputs that cross the link for each decoded token [B]; collectives: a
    step; flops_per_context_token: of attention over one cached token [flop], bytes_per_context_token: of
    it as one rank reads undivided [B].
    """

    degree: float
    bytes_per_token: float
    collectives: float
    flops_per_context_token: float
    bytes_per_context_token: float
    peak_flops_s: float
    bandwidth_bytes_s: float
    ranks: float

    def divided(self, batch: StepBatch) -> StepBatch:
        """The batch as one rank reads it."""
        return replace(batch, decode_context_tokens=batch.decode_context_tokens / self.degree)

    def seconds(self, batch: StepBatch, latency_s: float, link_bytes_s: float) -> Number:
        """What the exchange takes, and attention whose arithmetic outlasts its reads [s]."""
        sequences = np.asarray(batch.decode_sequences, dtype=float) / self.ranks
        context = np.asarray(batch.decode_context_tokens, dtype=float) / self.ranks
        sent = self.collectives * latency_s + sequences * self.bytes_per_token / link_bytes_s
        read = context * self.bytes_per_context_token / self.degree / self.bandwidth_bytes_s
        work = context * self.flops_per_context_token / self.peak_flops_s
        extra = np.where(sequences > 0, sent + np.maximum(work - read, 0.0), 0.0)
        return extra if extra.ndim else float(extra)


def divided_context(deployment: Deployment, model: CalibratedStepModel) -> DividedContext:
    """What the deployment's degree changes."""
    degree, stages = deployment.settings.decode_context_parallel, deployment.pipeline_parallel
    layers, values = 0.0, 0.0
    for layer, count in layer_counts(deployment.model):
        mixer = layer.mixer
        if isinstance(mixer, LatentAttention):
            width = 2 * mixer.kv_lora_rank + mixer.qk_rope_head_dim
        elif isinstance(mixer, SoftmaxAttention):
            width = mixer.head_dim + mixer.v_head_dim
        else:
            continue
        layers += count
        values += count * width * mixer.heads / deployment.tensor_parallel
    loads = model.loads
    return DividedContext(
        degree=float(degree),
        bytes_per_token=QUERY_BYTES * values * (degree - 1) / stages,
        collectives=COLLECTIVES * layers / stages,
        flops_per_context_token=float(loads.context_flops_per_token),
        bytes_per_context_token=float(loads.context_bytes_per_token),
        peak_flops_s=float(loads.attention_peak_flops_s),
        bandwidth_bytes_s=float(loads.bandwidth_bytes_s),
        ranks=float(loads.data_parallel),
    )


@dataclass(frozen=True, slots=True)
class DividedStepModel(AdapterStepModel):
    """Step times of a replica that divides contexts, with its adapters where it holds any."""

    context: DividedContext | None = None

    def step_times(self, batch: StepBatch) -> StepTimes:
        """Named parts of the step's time [s]; the exchange is with the collectives."""
        context = self.context
        if context is None:
            return AdapterStepModel.step_times(self, batch)
        times = AdapterStepModel.step_times(self, context.divided(batch))
        extra = self._exchange(batch, context)
        return replace(
            times, collectives_s=times.collectives_s + extra, total_s=times.total_s + extra
        )

    def step_seconds(self, batch: StepBatch) -> Number:
        """Total time of the step [s]."""
        context = self.context
        if context is None:
            return AdapterStepModel.step_seconds(self, batch)
        seconds = AdapterStepModel.step_seconds(self, context.divided(batch))
        return seconds + self._exchange(batch, context)

    def _exchange(self, batch: StepBatch, context: DividedContext) -> Number:
        factors, loads = self.factors, self.loads
        latency = float(loads.link_hops * factors.collective_latency_s)
        link = float(loads.link_bytes_s * factors.collective_bandwidth)
        return context.seconds(batch, latency, link)


def with_divided_context(
    deployment: Deployment, model: CalibratedStepModel, calibration: Calibration
) -> CalibratedStepModel:
    """The step model with contexts divided where the deployment divides them, at best modelled."""
    if deployment.settings.decode_context_parallel == 1:
        return model
    own = {f.name: getattr(model, f.name) for f in fields(model)}
    evidence = max(model.evidence, Evidence.MODELLED, key=lambda e: e.rank)
    own |= {"evidence": evidence, "margin": calibration.margin(evidence, model.distance)}
    return DividedStepModel(**own, context=divided_context(deployment, model))
