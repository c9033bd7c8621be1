"""What a batch job requires that could be required less strictly: fewer requests, more time."""

from __future__ import annotations

import math
from collections.abc import Iterator

from planner.fleet.infeasibility.oracle import Requirement
from planner.fleet.infeasibility.problem_requirements import SMALLEST_SHARE
from planner.scenario.job import HOUR_S, Job, load_of
from planner.scenario.schema import Scenario, Service
from planner.units import DAY_S


def of_job(place: int, prefix: str, job: Job) -> Iterator[Requirement[Scenario]]:
    """The requests and the window of the job of the service at ``place``; ``prefix`` names the service."""

    def fewer(scenario: Scenario, share: float) -> Scenario:
        service = scenario.services[place]
        return _with(scenario, place, service.rate_change(service.rate * share))

    def longer(scenario: Scenario, within_s: float) -> Scenario:
        changed = job.model_copy(update={"within": _hours(within_s) * HOUR_S})
        return _with(scenario, place, {"job": changed, "load": load_of(changed)})

    yield Requirement(
        name=f"{prefix}job.requests",
        current=1.0,
        loosest=SMALLEST_SHARE,
        edit=fewer,
        write=lambda share: f"{float(f'{share * job.requests:.3g}'):,.0f} a day",
    )
    if job.within < DAY_S:
        yield Requirement(
            name=f"{prefix}job.within",
            current=job.within,
            loosest=DAY_S,
            edit=longer,
            write=lambda within_s: f"{_hours(within_s)} h",
        )


def _hours(seconds: float) -> int:
    return math.ceil(seconds / HOUR_S - 1e-9)


def _with(scenario: Scenario, place: int, change: dict[str, object]) -> Scenario:
    services: list[Service] = list(scenario.services)
    services[place] = services[place].model_copy(update=change)
    return scenario.model_copy(update={"services": tuple(services)})
