"""One input moved over a range: what the answer costs along it, and where the choice changes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from planner.comparison import restriction
from planner.comparison.options import Progress
from planner.errors import AmbiguousNumber, InputError, nearest
from planner.one_by_one import one_by_one
from planner.plan.labels import choice_of
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario
from planner.solving.lookahead import Solve, expect
from planner.units import parse_duration_s, unit_missing

MAX_POINTS = 200
PRICE_FACTOR = "price_factor"
_RANGE = re.compile(r"^\s*(.+?)\s*\.\.\s*(.+?)\s*$")

Move = Callable[[Scenario, float], Scenario]


@dataclass(frozen=True, slots=True)
class Axis:
    """An input that can be swept: how it moves a scenario, how a value is read and what it is."""

    name: str
    title: str
    quantity: str
    move: Move
    read: Callable[[str], float] = float
    may_be_zero: bool = False


def _target(metric: str) -> Axis:
    def move(scenario: Scenario, limit_s: float) -> Scenario:
        return restriction.with_target(scenario, metric, limit_s)

    return Axis(metric, f"{metric.upper()} target", "seconds", move, parse_duration_s)


def _price_factor(of: str) -> Axis:
    def move(scenario: Scenario, factor: float) -> Scenario:
        return restriction.with_price_factor(scenario, factor, of)

    title = "Price factor" if of == "all" else f"Price factor of {of}"
    return Axis(PRICE_FACTOR, title, "number", move)


AXES: Mapping[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("rate", "Request rate", "qps", restriction.with_rate),
        Axis("growth", "Growth of demand", "share", restriction.with_growth, may_be_zero=True),
        Axis("prompt_tokens", "Mean prompt tokens", "count", restriction.with_prompt_tokens),
        Axis("output_tokens", "Mean output tokens", "count", restriction.with_output_tokens),
        _target("ttft"),
        _target("tpot"),
        _target("e2e"),
    )
}


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """The answer at one value of the swept input."""

    value: float
    plan: Plan

    @property
    def choice(self) -> tuple[str, ...]:
        """What is deployed and how it is paid; empty when nothing is feasible."""
        return choice_of(self.plan)


@dataclass(frozen=True, slots=True)
class Flip:
    """The choice ``before`` still holds at ``low``; at ``high`` it is ``after``."""

    low: float
    high: float
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """The answers along one axis, in rising order of its values; ``stopped``: not all, after Ctrl-C."""

    scenario: Scenario
    axis: Axis
    points: tuple[SweepPoint, ...]
    stopped: bool = False

    @property
    def flips(self) -> tuple[Flip, ...]:
        return tuple(
            Flip(a.value, b.value, a.choice, b.choice)
            for a, b in pairwise(self.points)
            if a.choice != b.choice
        )


def axis_named(name: str, price_of: str | None = None) -> Axis:
    """The axis of that name; InputError when there is none.

    ``price_of``: the GPU, provider or term whose prices ``price_factor`` moves; None = all prices.
    """
    if name == PRICE_FACTOR:
        return _price_factor(price_of or "all")
    if price_of is not None:
        raise InputError("--price-of needs --price-factor", found=price_of)
    axis = AXES.get(name)
    if axis is None:
        raise InputError(
            "unknown axis to sweep",
            found=name,
            allowed=", ".join((*AXES, PRICE_FACTOR)),
            action=nearest(name, (*AXES, PRICE_FACTOR)),
        )
    return axis


def read_values(axis: Axis, text: str, steps: int) -> tuple[float, ...]:
    """Read ``10..200`` as ``steps`` evenly spaced values of ``axis``, both ends included.

    A target without a unit is read as seconds, with a warning. Raises InputError when the text is no
    rising range, or there are too few or too many steps.
    """
    where = f"--{axis.name.replace('_', '-')}"
    match = _RANGE.match(text)
    try:
        low, high = (axis.read(part) for part in match.groups()) if match else (None, None)
    except ValueError:
        low = high = None
    lowest_ok = low is not None and (low > 0 or (axis.may_be_zero and low >= 0))
    if low is None or high is None or not lowest_ok or not low < high < float("inf"):
        example = "0.5s..4s" if axis.quantity == "seconds" else "10..200"
        raise InputError(
            "not a range", where=where, found=text, allowed=f"LOW..HIGH, rising, such as {example}"
        )
    if not 2 <= steps <= MAX_POINTS:
        raise InputError(
            "too few or too many steps", where="--steps", found=steps, allowed=f"2 to {MAX_POINTS}"
        )
    if axis.quantity == "seconds" and match:
        for end in match.groups():
            missing = unit_missing(end)
            if missing:
                warnings.warn(f"{where} {text}: {missing}", AmbiguousNumber, stacklevel=2)
    width = (high - low) / (steps - 1)
    return (*(low + i * width for i in range(steps - 1)), high)


def sweep(
    scenario: Scenario,
    axis: Axis,
    values: tuple[float, ...],
    solve: Solve,
    *,
    refinements: int = 0,
    progress: Progress | None = None,
    keeps: bool = False,
) -> Sweep:
    """Solve the scenario at each value; halve each interval with a flip ``refinements`` times.

    A flip is then known to a ``2**refinements``-th of the step. ``keeps``: Ctrl-C ends it with the points
    that are there. Raises what ``solve`` raises.
    """

    def answer(value: float) -> SweepPoint:
        return SweepPoint(value, solve(axis.move(scenario, value)))

    def label(value: float) -> str:
        return f"{axis.name} {value:.6g}"

    distinct = sorted(set(values))
    expect(solve, (axis.move(scenario, value) for value in distinct))
    points = one_by_one(distinct, answer, label, progress, keeps=keeps)
    stopped = len(points) < len(distinct)
    for _ in range(refinements):
        flips = [(a, b) for a, b in pairwise(points) if a.choice != b.choice]
        between = [(a.value + b.value) / 2 for a, b in flips]
        if stopped or not between:
            break
        expect(solve, (axis.move(scenario, value) for value in between))
        try:
            middles = one_by_one(between, answer, label, progress, keeps=keeps)
        except KeyboardInterrupt:
            if not keeps:
                raise
            middles = []
        stopped = len(middles) < len(between)
        points = sorted([*points, *middles], key=lambda p: p.value)
    return Sweep(scenario, axis, tuple(points), stopped)
