"""What a plan makes of a batch job: when it is done, and what it takes."""

from __future__ import annotations

from planner.plan.part import PlanPart


class JobPlan(PlanPart):
    """One day's run of a job.

    requests: a day, on average over the horizon; start_hour: of the day, from which they are there [h];
    due_hours, done_hours: after the start, the deadline and when the last request of the latest run is
    done [h]; worked_hours: hours of the day in which some of it runs, in the latest run; gpu_hours: of a
    run, on average [GPU h]; usd: of a run, by its share of the GPU-hours paid; usd_per_million_tokens: read
    and written, usd_per_million_output_tokens: written, None where prompts are pooled.
    """

    requests: float
    start_hour: int
    due_hours: float
    done_hours: float
    worked_hours: tuple[int, ...]
    gpu_hours: float
    usd: float
    usd_per_million_tokens: float | None
    usd_per_million_output_tokens: float | None
