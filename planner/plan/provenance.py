"""How a plan was solved, checked in the simulator, and from what it was made."""

from __future__ import annotations

from typing import Literal

from planner.fleet.program.problem import Status
from planner.plan.part import PlanPart
from planner.scenario.fields import omit_defaults


class SolverReport(PlanPart):
    """What the solver did and proved. ``rivals``: how many other GPU types were priced."""

    name: str
    version: str
    status: Status
    variables: int = 0
    constraints: int = 0
    candidates: int = 0
    candidates_after_dominance: int = 0
    gap_tolerance: float = 0.0
    rivals: int = 5


class VerificationRound(PlanPart):
    """One round of simulate, correct, solve again."""

    round: int
    deployment: str
    closed_form_qps: float
    simulated_qps: float | None
    holds: bool
    note: str = ""


class Verification(PlanPart):
    """How the printed percentiles were checked, and which unsimulated candidates are close.

    capacity_factors: simulated over closed-form capacity by key of the replicas, where they differ.
    """

    method: Literal["none", "simulate"] = "none"
    rounds: tuple[VerificationRound, ...] = ()
    capacity_factors: dict[str, float] = {}
    closed_form_error: dict[str, float] = {}
    near_winners: tuple[str, ...] = ()
    note: str = ""


class Run(PlanPart):
    """What differs between two runs of the same question.

    not_priced: what was left beside the plan, for lack of time or as the run was stopped.
    """

    created_at: str
    duration_s: float
    host: str
    solve_s: float = 0.0
    not_priced: tuple[str, ...] = ()
    stopped: bool = False

    _written = omit_defaults("not_priced", "stopped")


class Provenance(PlanPart):
    """Everything needed to reproduce the plan; only ``run`` may differ between equal runs.

    as_of: the day from which prices count as old; by default the newest price's in the catalog.
    """

    planner_version: str
    catalog_digest: str
    scenario_digest: str
    calibration: str
    calibration_digest: str
    price_dates: tuple[str, str] | None = None
    as_of: str | None = None
    seed: int = 0
    run: Run
