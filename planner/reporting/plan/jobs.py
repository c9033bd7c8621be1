"""Batch jobs in words and as a table: finish time, GPU-hours, cost per million tokens."""

from __future__ import annotations

from planner.plan.job import JobPlan
from planner.plan.schema import Plan
from planner.reporting import rounding
from planner.reporting.document import Column, Paragraph, Quantity, Section, Table
from planner.scenario.job import HOURS


def clock(start_hour: int, hours: float) -> str:
    """The time of day so many hours after a full hour: ``04:12``, ``08:00 (next day)``."""
    minutes = round((start_hour + hours) * 60)
    day, minute = divmod(minutes, HOURS * 60)
    next_day = " (next day)" if day else ""
    return f"{minute // 60:02d}:{minute % 60:02d}{next_day}"


def job_text(job: JobPlan) -> str:
    """When a run is done, and what it takes, in a few sentences."""
    written = job.usd_per_million_output_tokens
    of_output = f" ({rounding.usd(written)} written)" if written is not None else ""
    return (
        f"Batch job: {rounding.count(job.requests)} requests a day from {clock(job.start_hour, 0)}, due "
        f"{clock(job.start_hour, job.due_hours)}; done by {clock(job.start_hour, job.done_hours)}, "
        f"{rounding.fixed(job.due_hours - job.done_hours, 1)} h before. A run takes "
        f"{rounding.significant(job.gpu_hours)} GPU-hours and {rounding.usd(job.usd)}, "
        f"{rounding.usd(job.usd_per_million_tokens)} per million tokens{of_output}, by its share of the "
        "GPU-hours paid."
    )


def section(plan: Plan) -> Section:
    """Every job of the plan; empty where there is none."""
    jobs = [(s.name, s.job) for s in plan.services if s.job is not None]
    if not jobs:
        return Section("jobs", "Batch jobs", ())
    columns = (
        Column("service", "Service"),
        Column("requests", "Requests a day", Quantity.COUNT),
        Column("start", "There at"),
        Column("due", "Due"),
        Column("done", "Done"),
        Column("gpu_hours", "GPU-hours a run", Quantity.NUMBER),
        Column("usd", "Cost of a run", Quantity.USD),
        Column("usd_per_million_tokens", "Per million tokens", Quantity.USD),
        Column("usd_per_million_output_tokens", "Per million written", Quantity.USD),
    )
    rows = tuple(
        (
            name,
            job.requests,
            clock(job.start_hour, 0),
            clock(job.start_hour, job.due_hours),
            clock(job.start_hour, job.done_hours),
            job.gpu_hours,
            job.usd,
            job.usd_per_million_tokens,
            job.usd_per_million_output_tokens,
        )
        for name, job in jobs
    )
    note = "Cost by the share of the GPU-hours paid, idle ones included."
    table = Table("jobs", "One day's run", columns, rows, note)
    named = len(plan.services) > 1
    text = (Paragraph(f"{f'{name}: ' if named else ''}{job_text(job)}") for name, job in jobs)
    return Section("jobs", "Batch jobs", (*text, table))
