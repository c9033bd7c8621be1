"""What a plan's first lines rest on: its margin, the cheapest of all offers, a lost replica."""

from __future__ import annotations

from typing import Literal

from planner.fleet.program.problem import Status
from planner.plan.part import PlanPart
from planner.scenario.fields import omit_defaults

LossOutcome = Literal["holds", "misses", "overloaded", "gone"]


class GroupMargin(PlanPart):
    """How much slower than predicted a group's steps may be, and every target still holds.

    probability: the quantile requested; slowdown: the factor on step times there; behind: whose
    one-sided quantiles they are, a grade or a person's own; passed: whether these covered left-out
    measurements. Where they did not, the slowdown is a margin that is assumed, not a probability.
    """

    probability: float
    slowdown: float
    behind: str
    passed: bool


class AsPredicted(PlanPart):
    """What the scenario takes when sized for the prediction itself, without a margin.

    gpus, usd_per_hour: on the plan's own kinds of replica; cheapest_*: on whichever are cheapest then.
    settled_by: the configuration whose measurement would settle most of the difference. status: whether
    both fleets were proved in their time. served_qps: what each serves, by service [requests/s]; {} where
    all must be served.
    """

    gpus: int
    usd_per_hour: float
    settled_by: str
    cheapest_label: str
    cheapest_gpus: int
    cheapest_usd_per_hour: float
    status: Status = "optimal"
    served_qps: dict[str, float] = {}
    cheapest_served_qps: dict[str, float] = {}

    _written = omit_defaults("status", "served_qps", "cheapest_served_qps")


class Cheapest(PlanPart):
    """The cheapest fleet of offers of all tiers and price confidences, where it is not the plan.

    offers: what it rents; doubts: what stands against each, in the order of ``offers``. served_qps: what it
    serves, by service [requests/s]; {} where all must be served.
    """

    label: str
    gpus: int
    usd_per_hour: float
    status: Status
    offers: tuple[str, ...]
    doubts: tuple[str, ...]
    served_qps: dict[str, float] = {}

    _written = omit_defaults("served_qps")


class LossOfOne(PlanPart):
    """What happens when one replica of a group is lost, and what a spare one costs.

    load: rate of each remaining replica over what it is sized for; None where none remains.
    outcome: every target holds as predicted, some are missed, or the queue grows without end.
    missed: predicted seconds by target that is missed. spare_usd_per_hour: of one more replica, 0 where
    idle GPUs hold it, None where nothing says.
    """

    service: str
    replica: str
    load: float | None
    outcome: LossOutcome
    missed: dict[str, float] = {}
    spare_usd_per_hour: float | None = None
