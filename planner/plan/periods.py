"""The periods of a plan: what runs, what is paid and what is routed where, in each of them."""

from __future__ import annotations

from pydantic import Field

from planner.plan.part import PlanPart


class Period(PlanPart):
    """One period of a plan: the decision itself, from which all else in the plan follows.

    period: its name; hours: how long it lasts in the horizon [h]; mean_qps, busiest_qps: demand by
    service, its mean and its busiest window [requests/s]; replicas: running, by key; nodes: paid, by
    offer; unserved_qps: by service or length bucket [requests/s]; routed_qps: by key of the replicas and
    then by service or length bucket [requests/s], empty in plans written before it was recorded.
    """

    period: str
    hours: float = Field(gt=0)
    mean_qps: dict[str, float]
    busiest_qps: dict[str, float]
    replicas: dict[str, int]
    nodes: dict[str, int]
    unserved_qps: dict[str, float]
    routed_qps: dict[str, dict[str, float]] = {}
