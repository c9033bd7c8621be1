"""What was not chosen, and why: other fleets, rejected configurations, what is in the way."""

from __future__ import annotations

from planner.fleet.alternatives.narrower_choices import Restriction
from planner.fleet.program.problem import Status
from planner.fleet.rejection_reason import RejectionReason
from planner.plan.part import PlanPart
from planner.scenario.fields import omit_defaults


class Alternative(PlanPart):
    """A plan that was not chosen, and the reason it lost.

    restricted_to: what the search was narrowed to; status: "optimal" where its cost is proved.
    served_qps: what it serves, by service [requests/s]; {} where all must be served.
    """

    label: str
    gpus: int
    usd_per_hour: float
    reason: str
    restricted_to: str = ""
    status: Status = "optimal"
    served_qps: dict[str, float] = {}

    _written = omit_defaults("served_qps")

    @property
    def gpu(self) -> str | None:
        """The only GPU type, where the search was narrowed to one."""
        named = self.restricted_to and self.restricted_to not in set(Restriction)
        return self.restricted_to if named else None


class LeftOut(PlanPart):
    """What the search left out, and its cheapest fleet found [USD/h]; None where it has none.

    By the closed form, on the GPU types that come closest: a full search may find a cheaper one.
    status: "feasible" or "unknown" where its time did not suffice to prove that cost, or that there is none.
    against_usd_per_hour: what the closed form alone finds for the search itself, where simulations made
    the plan cost something else. served_qps: as an alternative's.
    """

    name: str
    usd_per_hour: float | None
    against_usd_per_hour: float | None = None
    status: Status = "optimal"
    served_qps: dict[str, float] = {}

    _written = omit_defaults("against_usd_per_hour", "status", "served_qps")


class RejectionGroup(PlanPart):
    """Rejected configurations for one reason, with the numbers of the nearest miss."""

    reason: RejectionReason
    count: int
    nearest_miss: str
    examples: tuple[str, ...] = ()


class Relaxation(PlanPart):
    """One way out of an infeasible scenario: the requirement, its new value, and what that costs."""

    requirement: str
    current: str
    relaxed: str
    usd_per_hour: float | None = None
    gpus: int | None = None


class Infeasibility(PlanPart):
    """Why no plan exists: the smallest set of requirements in conflict, each with a way out."""

    summary: str
    conflict: tuple[str, ...]
    relaxations: tuple[Relaxation, ...] = ()
