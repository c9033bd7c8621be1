"""Batch jobs of a plan: all the work, inside the window, done by the deadline."""

from __future__ import annotations

import math
from collections.abc import Iterator

from planner.plan.periods import Period
from planner.plan.schema import Plan, ServicePlan
from planner.scenario.job import HOURS, Job
from planner.units import DAY_S
from planner.verification.check import Check, at_most, equal

FAMILY = "jobs"


def job_checks(plan: Plan) -> Iterator[Check]:
    """Every job of the plan against its scenario, day by day of the timetable."""
    requested = {s.name: s.job for s in plan.scenario.services}
    for service in plan.services:
        job = requested.get(service.name)
        if job is not None and plan.periods:
            yield from _job(plan, service, job)


def _job(plan: Plan, service: ServicePlan, job: Job) -> Iterator[Check]:
    name = service.name
    days = [plan.periods[n : n + HOURS] for n in range(0, len(plan.periods), HOURS)]
    months = {period.period.rpartition(" day ")[0] for period in plan.periods}
    for number, day in enumerate(days, start=1):
        outside = math.fsum(
            period.busiest_qps.get(name, 0.0)
            for hour, period in enumerate(day)
            if hour not in job.hours
        )
        yield at_most(FAMILY, f"{name}, day {number}: work outside its window", outside, 0.0)
        if len(months) == 1 and not plan.scenario.horizon.growth_per_month:
            done = math.fsum(_rate(p, name) for p in day) * DAY_S / HOURS
            yield equal(FAMILY, f"{name}, day {number}: requests", done, job.requests)
    if service.job is not None:
        done_hours, due = service.job.done_hours, service.job.due_hours
        yield at_most(FAMILY, f"{name}: done by the deadline [h after the start]", done_hours, due)


def _rate(period: Period, name: str) -> float:
    return period.busiest_qps.get(name, 0.0)
