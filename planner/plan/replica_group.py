"""Identical replicas in a plan: how one is laid out, what it holds, what is predicted of it."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from planner.deployment import ParallelDegrees, degrees_label, replica_key, replica_name
from planner.evidence import Evidence
from planner.plan.decision import GroupMargin
from planner.plan.part import PlanPart
from planner.plan.prefill_pool import PrefillPool
from planner.plan.speculation import SpeculationPlan
from planner.scenario.fields import omit_defaults
from planner.scenario.slo import TargetKey
from planner.serving.capacity_limit import CapacityLimit
from planner.serving.pools import gpus_named, pools_label, slower_network

QUANTISE_YOURSELF = "quantise it yourself"


Method = Literal["closed-form", "simulated"]


class Prediction(PlanPart):
    """Predicted latency of one replica group at its share of the demand [s].

    ``method``: "closed-form" or "simulated". ``intervals``: for each key (``ttft_p99_s``) the
    model-error interval at ``interval_level``: the same load with steps at both of ``step_factors``, through
    its queue, and TTFT at ``ttft_factors`` beyond them. Without an upper end where nothing bounds it there;
    ``keeps_up_if_slow`` is false where the load does not fit. ``ttft_range_assumed``: TTFT was recorded for
    too few models on such devices to say how models differ. ``simulation_intervals``: the Monte-Carlo
    interval.
    ``own_s``: where replicas of several kinds serve together and were simulated, percentiles of the
    requests that this kind answered; the others are of all requests.
    """

    ttft_p50_s: float | None = None
    ttft_p99_s: float | None = None
    tpot_p50_s: float | None = None
    tpot_p99_s: float | None = None
    e2e_p99_s: float | None = None
    others_s: dict[str, float] = {}
    method: Method = "closed-form"
    interval_level: float = 0.8
    step_factors: tuple[float, float] | None = None
    ttft_factors: tuple[float, float] | None = None
    keeps_up_if_slow: bool = True
    ttft_range_assumed: bool = False
    intervals: dict[str, tuple[float, float | None]] = {}
    simulation_intervals: dict[str, tuple[float, float]] = {}
    own_s: dict[str, float] = {}

    _written = omit_defaults(
        "own_s", "step_factors", "ttft_factors", "keeps_up_if_slow", "ttft_range_assumed"
    )

    @property
    def by_key_s(self) -> dict[str, float | None]:
        """Every prediction by the key of its target, such as ``ttft_p99`` [s]; None where there is none."""
        named = {
            "ttft_p50": self.ttft_p50_s,
            "ttft_p99": self.ttft_p99_s,
            "tpot_p50": self.tpot_p50_s,
            "tpot_p99": self.tpot_p99_s,
            "e2e_p99": self.e2e_p99_s,
        }
        return {**named, **{key.removesuffix("_s"): value for key, value in self.others_s.items()}}

    def seconds(self, key: str) -> float | None:
        """The prediction for a target's key such as ``ttft_p99`` [s]; None where there is none."""
        return self.by_key_s.get(key)


class StepBreakdown(PlanPart):
    """Where a decode step at the operating point spends its time [s]."""

    weights_s: float
    kv_s: float
    compute_s: float
    collectives_s: float
    overhead_s: float
    total_s: float


class ReplicaGroup(ParallelDegrees, PlanPart):
    """Identical replicas of one deployment serving one service.

    ``gpu_share``: of its one GPU, where several replicas are on a cut one; memory and predictions
    are those of that share. ``prefill``: the other pool, where prompts run apart; a replica is then a
    unit of both, and layout, memory and KV cache given here are those of one replica that decodes.
    ``checkpoint``: another public checkpoint that holds the model in ``weights``; ``quantise_yourself``:
    neither the model's own nor a public one does. ``margin``: what its capacity allows for; None where
    it is the prediction's own. ``speculation``: what drafts, where anything does. ``profile``: of the MIG
    slice that a replica has; it takes ``gpu_share`` of the GPU's slices. ``network_gb_s``: a GPU's share of
    the network between the nodes of a replica, where those it was planned on have less than usual.
    """

    gpu: str
    engine: str
    engine_version: str
    tensor_parallel: int
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    weights: str
    kv_cache: str
    settings: dict[str, float | int | bool | None] = {}
    replicas: int
    gpus: int
    usd_per_hour: float
    capacity_qps: float
    routed_qps: float
    concurrency: float
    utilisation: float
    kv_used_share: float
    limited_by: Annotated[CapacityLimit | TargetKey, Field(union_mode="left_to_right")]
    memory: dict[str, float]
    kv_pool_tokens: float
    predicted: Prediction
    step: StepBreakdown | None = None
    evidence: Evidence
    notes: tuple[str, ...] = ()
    gpu_share: float = 1.0
    prefill: PrefillPool | None = None
    checkpoint: str | None = None
    quantise_yourself: bool = False
    speculation: SpeculationPlan | None = None
    profile: str = ""
    margin: GroupMargin | None = None
    network_gb_s: float | None = None

    _written = omit_defaults(
        "prefill",
        "checkpoint",
        "quantise_yourself",
        "speculation",
        "profile",
        "margin",
        "network_gb_s",
    )

    @property
    def gpus_each(self) -> int:
        """GPUs of one replica, or of one unit of both pools."""
        own = math.prod(self.degrees[:3])
        if self.prefill is None:
            return own
        return self.prefill.replicas * self.prefill.gpus_each + self.prefill.decode_replicas * own

    @property
    def gpus_by_type(self) -> dict[str, int]:
        """GPUs of one replica or unit, by GPU type."""
        pool = self.prefill
        if pool is None or not pool.gpu:
            return {self.gpu: self.gpus_each}
        prompts = pool.replicas * pool.gpus_each
        return {self.gpu: self.gpus_each - prompts, pool.gpu: prompts}

    def gpus_on(self, gpu: str) -> float:
        """GPUs of that type that all replicas take together, a share of one counted as that."""
        return self.replicas * self.gpus_by_type.get(gpu, 0) * self.gpu_share

    @property
    def parallel(self) -> str:
        """How one replica is cut: ``TP4``, or ``2P (TP2) + 3D (TP4) in a node``."""
        if self.prefill is None:
            return degrees_label(self.degrees)
        p = self.prefill
        return pools_label(p.replicas, p.degrees, p.decode_replicas, self.degrees, p.within)

    @property
    def name(self) -> str:
        """The name of one replica or unit, see ``replica_name``."""
        pool = self.prefill
        return replica_name(
            self.gpus_each,
            gpus_named(pool.gpu if pool else "", self.gpu),
            self.engine,
            self.parallel,
            self.weights,
            self.kv_cache,
            self.gpu_share,
            self.speculation.label if self.speculation else "",
            self.profile,
            slower_network(pool.network_gb_s if pool else None, self.network_gb_s),
        )

    def key(self, service: str) -> str:
        """What schedules and routes call the replicas of this group, which serve ``service``."""
        return replica_key(service, self.name)

    @property
    def label(self) -> str:
        """Name and count: ``8x (4x h100-sxm-80gb vllm TP4 fp8/bf16)``."""
        own = f", {QUANTISE_YOURSELF}" if self.quantise_yourself else ""
        return f"{self.replicas}x ({self.name}{own})"
