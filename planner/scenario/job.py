"""A batch job: so many requests a day, done within a window, in place of a rate and latency targets.

Within its window the work may lie in any hours, so that the plan puts it where the fleet has room or is
cheap. A job that loses a replica does the work later: it is not kept through failures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from planner.scenario.fields import Seconds, StrictDocument, field_error
from planner.scenario.fleet import Load
from planner.scenario.request_classes import replaced_by_classes
from planner.units import DAY_S, parse_tokens

HOUR_S = 3600.0
HOURS = 24
MOST_REQUESTS = 1e11  # a day; a thousand times the largest batch service
REPLACED = ("rate", "slo", "load", "arrivals")


class Job(StrictDocument):
    """Requests that are there at once, every day, and must be answered by a deadline.

    ``requests``: a day (``2M`` is read too). ``start``: the hour of the day from which they are there (0 to
    23). ``within``: how long they may take, in whole hours up to a day, such as 8h.
    """

    requests: Annotated[float, Field(gt=0, le=MOST_REQUESTS), BeforeValidator(parse_tokens)]
    within: Seconds
    start: Annotated[int, Field(ge=0, lt=HOURS)] = 0

    @model_validator(mode="after")
    def _whole_hours(self) -> Job:
        if self.within % HOUR_S or not HOUR_S <= self.within <= HOURS * HOUR_S:
            message = "within takes whole hours, from 1h to 24h"
            raise field_error("within", f"{self.within:g} s", message)
        return self

    @property
    def hours(self) -> tuple[int, ...]:
        """Hours of the day the work may lie in, in the order of time."""
        return tuple((self.start + n) % HOURS for n in range(round(self.within / HOUR_S)))

    @property
    def rate_qps(self) -> float:
        """Mean rate over the whole day [requests/s]."""
        return self.requests / DAY_S

    def at_rate(self, rate_qps: float) -> Job:
        """The same job with as many requests a day as that mean rate brings [requests/s]."""
        return self.model_copy(update={"requests": rate_qps * DAY_S})


def with_job(value: object) -> object:
    """A job's service with the rate, hours and (no) targets that follow from its job.

    Raises at the first field that a job replaces.
    """
    if not isinstance(value, Mapping) or value.get("job") is None:
        return value
    for field in REPLACED:
        if value.get(field) is not None:
            message = f"job replaces {field}: leave {field} out"
            raise field_error(field, value[field], message)
    without_targets = {**value, "slo": {"targets": ()}}
    try:
        job = value["job"] if isinstance(value["job"], Job) else Job.model_validate(value["job"])
    except ValidationError:
        return {**without_targets, "rate": 1.0}  # the field itself says what is wrong, and where
    return {**without_targets, "job": job, "rate": job.rate_qps, "load": load_of(job)}


def load_of(job: Job) -> Load:
    """The job's work spread evenly over the hours of its window."""
    return Load(hourly=tuple(float(hour in job.hours) for hour in range(HOURS)))


def without_replaced(
    service: Mapping[str, object], shared: Mapping[str, object]
) -> dict[str, object]:
    """The fields above the services that hold for this one: a job has no rate and no targets.

    Request classes have targets of their own, and rates where they state them.
    """
    if service.get("job") is not None:
        return {key: value for key, value in shared.items() if key not in REPLACED}
    own = set(replaced_by_classes(service))
    return {key: value for key, value in shared.items() if key not in own}
