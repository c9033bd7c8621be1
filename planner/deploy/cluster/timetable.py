"""Replicas by hour of the day, where a plan's demand varies over it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from planner.plan.schema import Plan

HOURS = 24
MINUTES = 60
_HOUR = re.compile(r"(?:^| )([0-2][0-9]):00$")


@dataclass(frozen=True, slots=True)
class Shift:
    """More replicas than the least from one hour of the day to another (24 = midnight)."""

    first_hour: int
    end_hour: int
    replicas: int

    def cron(self, start_up_s: float) -> tuple[str, str]:
        """Cron expressions of its start, early enough for the replicas to be up, and of its end."""
        early = -(-start_up_s // MINUTES)
        minute = int(self.first_hour * MINUTES - early) % (HOURS * MINUTES)
        return (
            f"{minute % MINUTES} {minute // MINUTES} * * *",
            f"0 {self.end_hour % HOURS} * * *",
        )


def replicas_by_hour(plan: Plan, key: str) -> tuple[int, ...]:
    """Replicas of one deployment in each hour of the day; empty where the plan has no timetable.

    The most of any period that begins in the hour: representative days and stages of growth have no
    place in a calendar. ``key``: the deployment's name in the schedule.
    """
    most = [0] * HOURS
    for period in plan.periods:
        hour = _HOUR.search(period.period)
        if hour is None:
            return ()
        at = int(hour[1])
        most[at] = max(most[at], period.replicas.get(key, 0))
    return tuple(most) if plan.periods else ()


def shifts(by_hour: tuple[int, ...]) -> Iterator[Shift]:
    """The hours above the least, in runs of equal replicas."""
    least = min(by_hour, default=0)
    for replicas, run in groupby(enumerate(by_hour), key=lambda entry: entry[1]):
        hours = [hour for hour, _ in run]
        if replicas > least:
            yield Shift(hours[0], hours[-1] + 1, replicas)
