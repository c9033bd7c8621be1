"""How a scenario is solved: one value for Python, sessions, batches and the command line."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal, Protocol, TypedDict, get_args

from planner.errors import InputError
from planner.fleet.program.problem import Solver

Verify = Literal["simulate", "none"]
Progress = Callable[[str], None]  # called with what is being worked on

SIDE_TIMES = 2.0  # the time limit: what is asked beside the plan may take, together
SIDE_QUESTIONS = 10  # of them one takes this part of their time at most, or
LEAST_SIDE_S = 5.0  # as long as most take on a busy machine
LEAST_SECONDS = 0.01  # for a program that is solved when the time is up


@dataclass(frozen=True, slots=True)
class SolveOptions:
    """How hard to try, and what else to find out.

    ``verify``: "simulate" checks the chosen fleet in the simulator and solves again where it fails;
    "none" keeps the closed form. ``solver``: behind PuLP. ``time_limit_s``: what one solve may take
    [s]. ``gap``: relative gap at which the solver may stop. ``seed``: of solver and simulator.
    ``rivals``: how many other GPU types to price beside the plan. ``explain``: whether to look for the
    conflict and its relaxations when no fleet exists. ``ranges``: whether predicted latencies are wanted with
    the interval of the model around them. ``as_of``: the day prices are judged from, as
    2026-11-30; the newest price's in the catalog where it is None. ``side_limit_s``: what everything
    that is asked beside the plan may take together [s], twice ``time_limit_s`` where it is None. ``until``:
    when all of it ends, by ``time.monotonic`` [s]. ``keeps``: Ctrl-C while something is asked beside the plan
    ends that alone, and the plan is returned. Raises InputError for another ``verify`` and for what is
    no date.
    """

    verify: Verify = "simulate"
    solver: Solver = "highs"
    time_limit_s: float = 60.0
    gap: float = 0.0
    seed: int = 0
    rivals: int = 5
    explain: bool = True
    as_of: str | None = None
    ranges: bool = True
    side_limit_s: float | None = None
    until: float = math.inf
    keeps: bool = False

    @property
    def seconds_left(self) -> float:
        """What the next program may take [s]."""
        return max(LEAST_SECONDS, min(self.time_limit_s, self.until - time.monotonic()))

    @property
    def is_over(self) -> bool:
        """Whether the time for everything is used up."""
        return time.monotonic() >= self.until

    @property
    def side_s(self) -> float:
        """What everything that is asked beside the plan may take together [s]."""
        stated = self.side_limit_s
        return SIDE_TIMES * self.time_limit_s if stated is None else stated

    def beside(self) -> SolveOptions:
        """For what is asked beside the plan, from now on: its time together, a tenth of it for each."""
        until = min(self.until, time.monotonic() + self.side_s)
        each = min(self.time_limit_s, max(self.side_s / SIDE_QUESTIONS, LEAST_SIDE_S))
        return replace(self, until=until, time_limit_s=each)

    def __post_init__(self) -> None:
        if self.as_of is not None and not _is_date(self.as_of):
            raise InputError(
                "not a date", where="--as-of", found=self.as_of, allowed="a day such as 2026-11-30"
            )
        if self.verify not in get_args(Verify):
            raise InputError(
                "no such way to check a plan",
                where="verify",
                found=self.verify,
                allowed=", ".join(get_args(Verify)),
            )


class Priced(Protocol):
    """What has a price of a day."""

    @property
    def as_of(self) -> str: ...


def must_have_prices(as_of: str | None, offers: Iterable[Priced]) -> None:
    """Raise InputError where no price was known on the day that prices are judged from."""
    first = min((o.as_of for o in offers if o.as_of), default=None)
    if as_of is None or first is None:
        return
    if date.fromisoformat(as_of) < date.fromisoformat(first):
        raise InputError(
            f"no price is known on {as_of}: the first is of {first}",
            where="as_of",
            found=as_of,
            allowed=f"a day from {first} on",
            action="leave it out, and prices are judged from the newest one's day",
        )


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


DEFAULTS = SolveOptions()
BRIEF = SolveOptions(verify="none", rivals=0, explain=False, ranges=False)  # one row a scenario


class SolveKeywords(TypedDict, total=False):
    """The fields of ``SolveOptions`` as keyword arguments of the Python API."""

    verify: Verify
    solver: Solver
    time_limit_s: float
    gap: float
    seed: int
    rivals: int
    explain: bool
    as_of: str | None
    ranges: bool
    side_limit_s: float | None
