"""Calls that bring several prompts at once: the documents of a query, a list of texts to embed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from planner.scenario.fields import field_error
from planner.units import parse_rate_qps

MOST_PROMPTS = 10_000
_CALLS = re.compile(r"^(.*?)\s*calls?\s*((?:/|per).*)$")


def as_prompts(value: object) -> object:
    """A service with ``rate: 40 calls/s`` as prompts/s; anything else comes back as it is."""
    if not isinstance(value, Mapping):
        return value
    rate, each = value.get("rate"), value.get("prompts_per_call", 1)
    match = _CALLS.match(rate) if isinstance(rate, str) else None
    if match is None or isinstance(each, bool) or not isinstance(each, int) or each < 1:
        return value
    per_second = parse_rate_qps(f"{match[1]}{match[2]}")
    return {**value, "rate": per_second * each} if isinstance(per_second, float) else value


def check_calls(each: int, others: Mapping[str, bool]) -> None:
    """Raise where calls of several prompts go with what ``others`` names."""
    for field, given in others.items():
        if given and each > 1:
            message = f"{field} does not go with prompts_per_call: leave one out"
            raise field_error("prompts_per_call", each, message)


def prompts_cv(calls_cv: float, each: int) -> float:
    """CV of the times between prompts that come ``each`` at once, at least that of random single ones.

    Counts of prompts vary ``each`` times as much as those of calls: ``CV^2 = each * max(1, CV_calls)^2``.
    """
    return max(1.0, calls_cv) * math.sqrt(each)
