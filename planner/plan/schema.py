"""The answer: a versioned, frozen Plan that says everything it knows and survives JSON unchanged.

A Plan holds only values: no live objects, nothing recomputed on load. ``Plan.to_json`` writes it,
``read_plan`` reads it back and refuses foreign or newer files.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from planner.errors import InputError
from planner.fleet.program.problem import Status
from planner.packed_files import not_text
from planner.plan.acceptance import AcceptanceTest
from planner.plan.alternatives import Alternative, Infeasibility, LeftOut, RejectionGroup
from planner.plan.decision import AsPredicted, Cheapest, LossOfOne
from planner.plan.job import JobPlan
from planner.plan.money import Cash, Rental
from planner.plan.part import PlanPart
from planner.plan.periods import Period
from planner.plan.prefix_hits import PrefixHits
from planner.plan.provenance import Provenance, SolverReport, Verification
from planner.plan.rented_nodes import RentedNodes
from planner.plan.replica_group import ReplicaGroup
from planner.plan.upgrade import OLDEST, upgraded
from planner.scenario.fields import omit_defaults
from planner.scenario.recognition import looks_like_scenario
from planner.scenario.schema import Scenario
from planner.standard_input import NAME, bytes_of, is_stdin
from planner.units import control_in

SCHEMA_VERSION: Literal[2] = 2
MAX_PLAN_BYTES = 64 * 1024 * 1024


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

    _written = omit_defaults("job", "prefix_hits")


class NodeCount(RentedNodes):
    """Instances to rent of one offer, what fills them, and what they cost.

    ``hours_share``: how much of the time they are paid, start-ups included; ``usd_per_hour`` is the
    mean over time. ``charged``: what is paid over what is held, above 1 where whole terms outlast a
    need that ends. ``upfront_share``: of each term's total, due when it starts. ``idle_gpus``: when the
    most of their type stand.
    """

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

    ``gpus_rented`` and ``nodes``: the most at any time.
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
    def groups(self) -> tuple[ReplicaGroup, ...]:
        """The replica groups of every service."""
        return tuple(g for s in self.services for g in s.replica_groups)

    @property
    def served_qps(self) -> float:
        """What is served of all services [requests/s]."""
        return sum(s.served_qps for s in self.services)

    @property
    def not_chosen(self) -> tuple[Alternative, ...]:
        """The fleets that were priced beside it: at native precision first, where it is not."""
        native = () if self.native_precision is None else (self.native_precision,)
        return (*native, *self.alternatives)

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

    Raises InputError when the file is missing, too large, not JSON, a scenario, no plan, or newer.
    """
    where = NAME if is_stdin(path) else str(path)
    try:
        text = _plan_bytes(Path(path), where)
    except OSError as error:
        raise InputError(f"cannot read the plan: {error.strerror}", where=where) from None
    if looks_like_scenario(text):
        raise InputError(
            "this looks like a scenario, not a plan",
            where=where,
            action=f"make the plan with: planner solve {where} --format json -o plan.json",
        )
    try:
        data = json.loads(text)
    except UnicodeDecodeError:
        raise not_text("the plan", text, where, InputError) from None
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
    if not is_stdin(path) and not stat.S_ISREG(path.stat().st_mode):
        raise InputError("not a file: a plan is read from one", where=where)
    data, size = bytes_of(path, MAX_PLAN_BYTES)
    if size > MAX_PLAN_BYTES:
        raise InputError(
            "the plan file is too large", where=where, allowed=f"{MAX_PLAN_BYTES} bytes"
        )
    return data
