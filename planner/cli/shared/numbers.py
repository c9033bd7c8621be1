"""Numbers given as options."""

from __future__ import annotations

import math
from typing import Any

import click

from planner.units import parse_duration_s


class FiniteRange(click.FloatRange):
    """A float within bounds; not a number, and infinity, lie outside of every bound."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; fails where it is not finite or out of bounds."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return float(number)


def duration(_ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Seconds from ``30m``, ``90s`` or a bare number."""
    if value is None:
        return None
    try:
        seconds = parse_duration_s(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=param) from None
    if seconds <= 0:
        raise click.BadParameter(f"must be longer than 0, found {value!r}", param=param)
    return seconds
