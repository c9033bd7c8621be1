"""Numbers given as options."""

from __future__ import annotations

import math
import warnings
from typing import Any

import click

from planner.errors import AmbiguousNumber
from planner.units import parse_duration_s, unit_missing

POSITIVE = click.IntRange(min=1)


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
    """Seconds from ``30m``, ``90s`` or a bare number, which is warned of."""
    if value is None:
        return None
    try:
        seconds = parse_duration_s(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=param) from None
    if seconds <= 0:
        raise click.BadParameter(f"must be longer than 0, found {value!r}", param=param)
    warn_of_seconds(value, param.opts[0])
    return seconds


def warn_of_seconds(text: str, where: str) -> None:
    """Warn where a duration has no unit and is read as seconds; ``where``: the option."""
    missing = unit_missing(text)
    if missing:
        warnings.warn(f"{where}: {missing}", AmbiguousNumber, stacklevel=3)
