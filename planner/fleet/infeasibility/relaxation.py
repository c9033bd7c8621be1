"""How little a requirement must be relaxed for a fleet to exist, and what that fleet costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from planner.fleet.infeasibility.conflict import grown
from planner.fleet.infeasibility.oracle import FeasibilityOutcome, Oracle, Question

RELATIVE_STEP = 1e-2
AFFORDABLE = 1.25
COARSE_RATIO = 1.2
MAX_RATIO = 1e4
NEXT_TO_NOTHING = 1e-6
ROUNDING_DIGITS = 6


@dataclass(frozen=True, slots=True)
class RelaxedRequirement:
    """A way out: requirements, their values now and then, and the cheapest fleet there [USD/h]."""

    requirement: str
    current: str
    relaxed: str
    usd_per_hour: float | None
    gpus: int | None


def relaxations_of(
    member: int, oracle: Oracle[Question], keep_first: Sequence[int]
) -> Iterator[RelaxedRequirement]:
    """Yield the least relaxation of ``member`` that yields a fleet, with what else it needs.

    Where dropping ``member`` alone is not enough, others are dropped with it, those late in
    ``keep_first`` before those early; each is then tightened again as far as it goes, ``member``
    last. Where the least relaxation of a target is dear, the strictest one that is not follows.
    Nothing when no fleet was found within the solver's limits.
    """
    others = [i for i in keep_first if i != member]
    kept = grown(frozenset(), others, oracle.has_fleet)
    relaxed = [*(i for i in reversed(others) if i not in kept), member]
    values = {i: oracle.requirements[i].loosest for i in relaxed}
    outcome = oracle.at(values)
    if not outcome.has_fleet:
        return
    for i in relaxed:
        values[i], outcome = _least_value(i, values, outcome, oracle)
    yield _text(values, outcome, oracle)
    if oracle.requirements[member].trades_off:
        value = _affordable_value(member, values, outcome, oracle)
        if value is not None:
            values[member] = value
            yield _text(values, oracle.at(values), oracle)


def _text(
    values: Mapping[int, float], outcome: FeasibilityOutcome, oracle: Oracle[Question]
) -> RelaxedRequirement:
    changed = [(oracle.requirements[i], value) for i, value in sorted(values.items())]
    changed = [(r, value) for r, value in changed if value != r.current]
    return RelaxedRequirement(
        requirement=" and ".join(r.name for r, _ in changed),
        current=" and ".join(r.write(r.current) for r, _ in changed),
        relaxed=" and ".join(r.write(value) for r, value in changed),
        usd_per_hour=outcome.usd_per_hour,
        gpus=outcome.gpus,
    )


def _affordable_value(
    i: int, values: Mapping[int, float], least: FeasibilityOutcome, oracle: Oracle[Question]
) -> float | None:
    """The strictest value whose fleet costs little more than with requirement ``i`` dropped.

    None when the least relaxation already does.
    """
    strict, loose = values[i], oracle.requirements[i].loosest
    free = oracle.at({**values, i: loose}).usd_per_hour
    if free is None or least.usd_per_hour is None or least.usd_per_hour <= AFFORDABLE * free:
        return None

    def affordable(value: float) -> bool:
        cost = oracle.at({**values, i: value}).usd_per_hour
        return cost is not None and cost <= AFFORDABLE * free

    while loose > COARSE_RATIO * strict:
        middle = math.sqrt(strict * loose)
        strict, loose = (strict, middle) if affordable(middle) else (middle, loose)
    return _rounded_outwards(loose, strict, digits=2)


def _least_value(
    i: int, values: dict[int, float], outcome: FeasibilityOutcome, oracle: Oracle[Question]
) -> tuple[float, FeasibilityOutcome]:
    """The strictest value of requirement ``i`` with a fleet, and that fleet; ``values`` has one.

    Tried in turn: the value requested; a value the last fleet is known to need, and one just inside it;
    else values ever further from the one requested, as most relaxations are small; then bisection, and
    at last what the fleet found there is known to need.
    """
    requirement = oracle.requirements[i]
    strict, loose = requirement.current, values[i]

    def holds(value: float) -> bool:
        nonlocal strict, loose, outcome
        trial = oracle.at({**values, i: value})
        if trial.has_fleet:
            loose, outcome = value, trial
        else:
            strict = value
        return trial.has_fleet

    if holds(strict):
        return loose, outcome
    enough = requirement.enough(outcome)
    if enough is not None and _between(strict, enough, loose):
        if holds(enough):
            step = 1.0 if requirement.whole else RELATIVE_STEP * abs(enough)
            holds(enough - math.copysign(step, enough - requirement.current))
    elif not requirement.whole:
        any(holds(value) for value in _further_and_further(strict, loose))
    while (middle := _middle(strict, loose, requirement.whole)) is not None:
        holds(middle)
    if not requirement.whole:
        found = requirement.enough(outcome)
        if found is not None and _between(strict, found, loose):
            holds(found)
        holds(_rounded_outwards(loose, requirement.current))
    return loose, outcome


def _further_and_further(strict: float, loose: float) -> Iterator[float]:
    """Values from ``strict`` by growing ratios, within ``loose``, which may be 0."""
    ratio = 1.25
    while strict > 0 and ratio < MAX_RATIO:
        value = strict * ratio if loose > strict else strict / ratio
        if not _between(strict, value, loose):
            return
        yield value
        ratio *= ratio


def _between(strict: float, value: float, loose: float) -> bool:
    return min(strict, loose) < value < max(strict, loose)


def _middle(strict: float, loose: float, whole: bool) -> float | None:
    """The next value to try, or None when the two are one step apart.

    Wide ranges are halved by ratio, narrow ones by difference.
    """
    if whole:
        apart = abs(loose - strict) > 1
        return float(math.floor((strict + loose) / 2)) if apart else None
    if abs(loose - strict) <= RELATIVE_STEP * abs(loose) or max(strict, loose) <= NEXT_TO_NOTHING:
        return None
    low, high = sorted((strict, loose))
    return math.sqrt(low * high) if low > 0 and high > 4 * low else (low + high) / 2


def _rounded_outwards(value: float, strict: float, digits: int = 3) -> float:
    """Round to significant digits, away from ``strict``, so that the printed value still suffices."""
    if value == 0 or not math.isfinite(value):
        return value
    scale = 10.0 ** (digits - 1 - math.floor(math.log10(abs(value))))
    scaled = round(value * scale, ROUNDING_DIGITS)  # 1.12 * 100 is a hair more than 112
    rounded = math.ceil(scaled) if value > strict else math.floor(scaled)
    return rounded / scale
