"""Batch jobs written out: finish time, GPU-hours and cost of a day's run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.fleet.periods import DAY
from planner.money.rates import token_cost
from planner.plan.job import JobPlan
from planner.scenario.job import HOUR_S
from planner.scenario.schema import Service
from planner.solving.job_hours import windows_of
from planner.solving.stages import Decided
from planner.units import DAY_S
from planner.workload.lengths import lengths_of


def job_plan(
    service: Service, decided: Decided, usd_per_hour: float, served_qps: float
) -> JobPlan | None:
    """What comes of a service's job; None for a service without one.

    usd_per_hour: the service's part of the bill, served_qps: what is done of it, both means over time.
    """
    job, calendar = service.job, decided.calendar
    if job is None:
        return None
    lengths = lengths_of(service)
    cost = token_cost(usd_per_hour, served_qps, lengths.mean_prompt, lengths.mean_written)
    routed, held = _done_qps(service.name, decided)
    days = sum(calendar.hours) / DAY
    run = max(
        (_hours_of(window, routed, held) for window in windows_of(job, len(calendar.hours))),
        key=lambda hours: hours[0],
    )
    return JobPlan(
        requests=served_qps * DAY_S,
        start_hour=job.start,
        due_hours=job.within / HOUR_S,
        done_hours=run[0],
        worked_hours=tuple(job.hours[n] for n in run[1]),
        gpu_hours=_gpu_hours(service, decided, calendar.hours) / days,
        usd=usd_per_hour * DAY,
        usd_per_million_tokens=cost.blended,
        usd_per_million_output_tokens=cost.output,
    )


def _done_qps(service: str, decided: Decided) -> tuple[list[float], list[float]]:
    """What the job's replicas are sent and what they can do, by period [requests/s]."""
    kinds = {k.key: k for k in decided.problem.kinds}
    routed = [0.0] * len(decided.problem.period_hours)
    held = list(routed)
    for (demand, _, t), rate in decided.solution.routed_qps.items():
        if demand == service:
            routed[t] += rate
    for (key, t), replicas in decided.solution.replicas.items():
        held[t] += replicas * kinds[key].capacity_qps.get(service, 0.0) if key in kinds else 0.0
    return routed, held


def _hours_of(
    window: Sequence[int], routed: Sequence[float], held: Sequence[float]
) -> tuple[float, list[int]]:
    """When the work of a window is done [h after its start], and its hours with any.

    In its last hour the replicas run at what they hold until the work is done.
    """
    worked = [n for n, t in enumerate(window) if routed[t] > 0]
    if not worked:
        return 0.0, []
    last = worked[-1]
    return last + min(1.0, routed[window[last]] / held[window[last]]), worked


def _gpu_hours(service: Service, decided: Decided, hours: Sequence[float]) -> float:
    """GPU-hours of the job's replicas over the horizon, in whole periods."""
    own: Mapping[str, float] = {
        key: c.gpus * c.gpu_share for key, c in decided.by_key.items() if c.service == service.name
    }
    return sum(
        own[key] * replicas * hours[t]
        for (key, t), replicas in decided.solution.replicas.items()
        if key in own
    )
