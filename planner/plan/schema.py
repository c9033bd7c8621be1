"""The answer: a versioned, frozen Plan that says everything it knows and survives JSON unchanged.

A Plan holds only values: no live objects, nothing recomputed on load. ``Plan.to_json`` writes it,
``read_plan`` reads it back and refuses foreign or newer files.
"""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from planner.deployment import degrees_label, replica_key, replica_name
from planner.errors import InputError
from planner.evidence import Evidence
from planner.fleet.program.problem import Status
from planner.plan.acceptance import AcceptanceTest
from planner.plan.alternatives import Alternative, Infeasibility, LeftOut, RejectionGroup
from planner.plan.decision import AsPredicted, Cheapest, GroupMargin, LossOfOne
from planner.plan.job import JobPlan
from planner.plan.money import Cash, Rental
from planner.plan.part import PlanPart
from planner.plan.periods import Period
from planner.plan.prefill_pool import PrefillPool
from planner.plan.prefix_hits import PrefixHits
from planner.plan.provenance import Provenance, SolverReport, Verification
from planner.plan.speculation import SpeculationPlan
from planner.plan.upgrade import OLDEST, upgraded
from planner.scenario.schema import Scenario
from planner.serving.pools import gpus_named, pools_label
from planner.standard_input import NAME, is_stdin, stdin_bytes
from planner.units import control_in

SCHEMA_VERSION: Literal[2] = 2
QUANTISE_YOURSELF = "quantise it yourself"
MAX_PLAN_BYTES = 64 * 1024 * 1024


Method = Literal["closed-form", "simulated"]

NOT_VERIFIED = (
    "solver.name",
    "solver.version",
    "solver.variables",
    "solver.constraints",
    "solver.candidates_after_dominance",
    "solver.gap_tolerance",
    "solver.rivals",
    "verification.rounds",
    "verification.near_winners",
    "verification.capacity_factors",
    "provenance.planner_version",
    "provenance.seed",
    "provenance.run",
)
"""What a plan records of the run that made it and no one can recompute from plan and catalogs."""


class Prediction(PlanPart):
    """Predicted latency of one replica group at its share of the demand [s].

    ``method``: "closed-form" or "simulated". ``intervals``: for each key (``ttft_p99_s``) the
    model-error interval at ``interval_level``; ``simulation_intervals``: the Monte-Carlo interval.
    """

    ttft_p50_s: float | None = None
    ttft_p99_s: float | None = None
    tpot_p50_s: float | None = None
    tpot_p99_s: float | None = None
    e2e_p99_s: float | None = None
    others_s: dict[str, float] = {}
    method: Method = "closed-form"
    interval_level: float = 0.8
    intervals: dict[str, tuple[float, float]] = {}
    simulation_intervals: dict[str, tuple[float, float]] = {}


class StepBreakdown(PlanPart):
    """Where a decode step at the operating point spends its time [s]."""

    weights_s: float
    kv_s: float
    compute_s: float
    collectives_s: float
    overhead_s: float
    total_s: float


class ReplicaGroup(PlanPart):
    """Identical replicas of one deployment serving one service.

    ``gpu_share``: of its one GPU, where several replicas stand on a cut one; memory and predictions
    are those of that share. ``prefill``: the other pool, where prompts run apart; a replica is then a
    unit of both, and layout, memory and KV cache told here are those of one replica that decodes.
    ``checkpoint``: another public checkpoint that holds the model in ``weights``; ``quantise_yourself``:
    neither the model's own nor a public one does. ``margin``: what its capacity allows for; None where
    it is the prediction's own. ``speculation``: what drafts, where anything does. ``profile``: of the MIG
    slice that a replica has; it takes ``gpu_share`` of the GPU's slices.
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
    limited_by: str
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

    @model_serializer(mode="wrap")
    def _without_what_it_lacks(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Replicas that do both, and load the model's own checkpoint, read as they always did."""
        text: dict[str, Any] = write(self)
        lacking = ("prefill", "checkpoint", "quantise_yourself", "margin", "speculation", "profile")
        for name in lacking:
            if not text.get(name):
                text.pop(name, None)
        return text

    @property
    def degrees(self) -> tuple[int, int, int, int]:
        """TP, PP, DP and EP of one replica, or of one that decodes."""
        return (
            self.tensor_parallel,
            self.pipeline_parallel,
            self.data_parallel,
            self.expert_parallel,
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
        return replica_name(
            self.gpus_each,
            gpus_named(self.prefill.gpu if self.prefill else "", self.gpu),
            self.engine,
            self.parallel,
            self.weights,
            self.kv_cache,
            self.gpu_share,
            self.speculation.label if self.speculation else "",
            self.profile,
        )

    def key(self, service: str) -> str:
        """What schedules and routes call the replicas of this group, which serve ``service``."""
        return replica_key(service, self.name)

    @property
    def label(self) -> str:
        """Name and count: ``8x (4x h100-sxm-80gb vllm TP4 fp8/bf16)``."""
        own = f", {QUANTISE_YOURSELF}" if self.quantise_yourself else ""
        return f"{self.replicas}x ({self.name}{own})"


class ServicePlan(PlanPart):
    """What one service gets, and how far it is from its targets.

    ``job``: what comes of a batch job. ``prefix_hits``: of a service with conversations, what its prefix
    caches hold.
    """

    name: str
    model: str
    rate_qps: float
    served_qps: float
    targets: dict[str, float]
    replica_groups: tuple[ReplicaGroup, ...]
    usd_per_hour: float
    headroom_qps: float = 0.0
    busiest_qps: float | None = None
    floors: dict[str, float] = {}
    job: JobPlan | None = None
    prefix_hits: PrefixHits | None = None

    @model_serializer(mode="wrap")
    def _without_what_it_lacks(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A service of single requests that is no batch job reads as it always did."""
        text: dict[str, Any] = write(self)
        for name in ("job", "prefix_hits"):
            if text.get(name) is None:
                text.pop(name, None)
        return text


class NodeCount(PlanPart):
    """Instances to rent of one offer, what fills them, and what they cost.

    ``hours_share``: how much of the time they are paid, start-ups included; ``usd_per_hour`` is the
    mean over time. ``charged``: what is paid over what is held, above 1 where whole terms outlast a
    need that ends. ``upfront_share``: of each term's total, due when it starts. ``idle_gpus``: when the
    most of their type stand.
    """

    provider: str
    region: str
    instance_type: str
    term: str
    gpu: str
    gpus_per_node: int
    count: int
    usd_per_hour_each: float
    usd_per_hour: float
    idle_gpus: int
    price_as_of: str
    price_source: str
    price_confidence: str = "medium"
    hours_share: float = 1.0
    charged: float = 1.0
    upfront_share: float = 0.0


class Totals(PlanPart):
    """Sums over the plan; cost per million tokens at mean demand, never at capacity.

    ``gpus_rented`` and ``nodes``: the most that stand at once.
    """

    gpus: int
    gpus_rented: int
    nodes: int
    usd_per_hour: float
    usd_per_month: float
    usd_per_year: float
    usd_per_million_output_tokens: float | None
    usd_per_million_input_tokens: float | None = None
    usd_per_million_tokens: float | None = None


class Plan(PlanPart):
    """The whole answer to one scenario.

    ``searched``: what the cheapest fleet was chosen from; ``left_out``: what else there is.
    ``as_predicted``: its replicas sized without a margin; ``cheapest``: the cheapest fleet of offers of
    all tiers and confidences, None where that is the plan; ``losses``: of one replica of each group;
    ``acceptance``: the load test that one replica of each group has to pass.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    scenario: Scenario
    status: Status
    objective_usd_per_hour: float | None
    bound_usd_per_hour: float | None
    gap: float | None
    services: tuple[ServicePlan, ...] = ()
    nodes: tuple[NodeCount, ...] = ()
    rentals: tuple[Rental, ...] = ()
    totals: Totals | None = None
    cash: Cash | None = None
    alternatives: tuple[Alternative, ...] = ()
    native_precision: Alternative | None = None
    as_predicted: AsPredicted | None = None
    cheapest: Cheapest | None = None
    losses: tuple[LossOfOne, ...] = ()
    acceptance: tuple[AcceptanceTest, ...] = ()
    searched: str = ""
    left_out: tuple[LeftOut, ...] = ()
    rejections: tuple[RejectionGroup, ...] = ()
    infeasibility: Infeasibility | None = None
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    solver: SolverReport
    verification: Verification = Verification()
    periods: tuple[Period, ...] = ()
    provenance: Provenance
    not_verified: tuple[str, ...] = NOT_VERIFIED

    def to_json(self) -> str:
        """The plan as JSON text, keys in a fixed order."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    @property
    def varies(self) -> bool:
        """Whether the fleet changes from one period to another."""
        return len(self.periods) > 1

    @property
    def exit_code(self) -> int:
        """0 a plan proved for its data; 3 infeasible; 5 stopped without proof."""
        return {"optimal": 0, "feasible": 5, "infeasible": 3, "unknown": 5}[self.status]


def read_plan(path: str | Path) -> Plan:
    """Read a plan written by ``Plan.to_json``: a file, or ``-`` for what is piped in.

    Raises InputError when the file is missing, too large, not JSON, not a plan, or newer.
    """
    where = NAME if is_stdin(path) else str(path)
    try:
        data = json.loads(_plan_bytes(Path(path), where))
    except OSError as error:
        raise InputError(f"cannot read the plan: {error.strerror}", where=where) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a JSON file: {error}", where=where) from None
    control = control_in(data)
    if control is not None:
        raise InputError(
            "the plan holds a control character in a text",
            where=where,
            found=f"U+{ord(control):04X}",
        )
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version is None:
        raise InputError(
            "not a plan: it has no schema_version",
            where=where,
            action="write one with: planner solve SCENARIO --format json -o plan.json",
        )
    if version not in (OLDEST, SCHEMA_VERSION):
        raise InputError(
            "the plan was written by another version of planner",
            where=where,
            found=f"schema_version {version}",
            allowed=f"schema_version {OLDEST} or {SCHEMA_VERSION}",
            action="solve the scenario again with this version",
        )
    try:
        return Plan.model_validate_json(json.dumps(upgraded(data)))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            first["msg"],
            where=f"{where}: {'.'.join(map(str, first['loc']))}",
            found=first.get("input"),
        ) from None


def holds_plan(data: bytes) -> bool:
    """Whether a file's content is a plan: JSON with a schema version."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "schema_version" in found


def _plan_bytes(path: Path, where: str) -> bytes:
    """The content of a plan file, or what is piped in; InputError when it is too large or no file."""
    if is_stdin(path):
        data = stdin_bytes()
        size = len(data)
    else:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError("not a file: a plan is read from one", where=where)
        size = found.st_size
        data = path.read_bytes() if size <= MAX_PLAN_BYTES else b""
    if size > MAX_PLAN_BYTES:
        raise InputError(
            "the plan file is too large", where=where, allowed=f"{MAX_PLAN_BYTES} bytes"
        )
    return data
