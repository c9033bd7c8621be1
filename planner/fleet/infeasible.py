"""Why no fleet exists: the smallest set of requirements in conflict, and the nearest way out of each.

A requirement is anything the scenario asks that could be asked less strictly: a rate, a latency
target, a stock limit, a budget, a list of allowed GPUs. ``explain`` works on any question that can
be edited and solved (a ``Problem``, a ``Scenario``), through plain solve calls alone:

1. ``smallest_conflict``: the fewest requirements that cannot hold together once all others are
   dropped. Every set of requirements whose removal restores feasibility must hit every conflict, so
   the smallest set that hits all removals found so far is a candidate; when it is infeasible it is
   the answer, otherwise it yields one more removal (implicit hitting sets; Ignatiev, Previti,
   Liffiton and Marques-Silva 2015, "Smallest MUS extraction with minimal hitting set dualization").
2. ``nearest_relaxation``: for each member, the least change of its value that makes the whole
   question feasible, found by bisection, with the cost of the cheapest fleet there. Where a second
   conflict remains, the members of both are relaxed together.

A conflict is claimed only where the solver proved infeasibility; a relaxation only where the solver
found a fleet. A stop at the time limit counts as neither.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Question = TypeVar("Question")

RELATIVE_STEP = 1e-2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What solving an edited question gave.

    ``status``: "optimal", "feasible", "infeasible" or "unknown"; when there is a fleet, the cost of
    the cheapest [USD/h], the GPUs it is billed for in its largest period by type, and the most
    nodes it is billed for by offer.
    """

    status: str
    usd_per_hour: float | None = None
    gpus_by_type: Mapping[str, int] = field(default_factory=dict)
    nodes: Mapping[str, int] = field(default_factory=dict)

    @property
    def gpus(self) -> int | None:
        return sum(self.gpus_by_type.values()) if self.has_fleet else None

    @property
    def has_fleet(self) -> bool:
        return self.status in ("optimal", "feasible")

    @property
    def proved_infeasible(self) -> bool:
        return self.status == "infeasible"


@dataclass(frozen=True, slots=True)
class Requirement(Generic[Question]):
    """One thing asked, with the number that states how strictly.

    ``name``: the scenario's own words; ``current`` moves towards ``loosest``, where it no longer
    binds; ``whole``: only whole numbers make sense; ``edit`` returns the question asked at a value;
    ``write`` puts a value in the scenario's words; ``enough`` reads from an outcome a value known
    to suffice (a budget equal to the cost found), which shortens the search.
    """

    name: str
    current: float
    loosest: float
    edit: Callable[[Question, float], Question]
    write: Callable[[float], str]
    whole: bool = False
    enough: Callable[[Outcome], float | None] = lambda outcome: None


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A way out: requirements, their values now and then, and the cheapest fleet there [USD/h]."""

    requirement: str
    current: str
    relaxed: str
    usd_per_hour: float | None
    gpus: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why no fleet exists. ``conflict`` is empty when no requirement listed could help."""

    summary: str
    conflict: tuple[str, ...]
    relaxations: tuple[Relaxation, ...]


def explain(
    question: Question,
    requirements: Sequence[Requirement[Question]],
    solve: Callable[[Question], Outcome],
    nearest_misses: Iterable[str] = (),
) -> Explanation:
    """Explain an infeasible ``question`` in the words of its ``requirements``.

    ``nearest_misses``: why single deployments were ruled out, told when no requirement helps.
    Raises ValueError when the question is not proved infeasible.
    """
    oracle = _Oracle(question, requirements, solve)
    everything = frozenset(range(len(requirements)))
    if oracle.may_hold(everything):
        raise ValueError("only an infeasible question can be explained")
    conflict = smallest_conflict(everything, oracle.may_hold)
    if not conflict:
        reasons = "; ".join(nearest_misses) or "no deployment and no offer can serve it"
        return Explanation(f"No limit or target is at fault: {reasons}.", (), ())
    members = [requirements[i] for i in sorted(conflict)]
    stated = tuple(f"{m.name}: {m.write(m.current)}" for m in members)
    if len(members) == 1:
        summary = f"{stated[0]} cannot be met by anything the scenario allows."
    else:
        summary = f"{_listed(stated)} cannot hold together; it takes relaxing at least one of them."
    found = (
        nearest_relaxation(i, oracle, order)
        for i in sorted(conflict)
        for order in (sorted(everything), sorted(everything, reverse=True))
    )
    relaxations = sorted(
        {r for r in found if r is not None},
        key=lambda r: (r.usd_per_hour or math.inf, r.requirement),
    )
    return Explanation(summary, stated, tuple(relaxations))


def smallest_conflict(
    everything: frozenset[int], may_hold: Callable[[frozenset[int]], bool]
) -> frozenset[int]:
    """Return the fewest members that cannot hold together; empty when none holds even alone.

    ``may_hold(kept)`` must be monotone: what holds together still holds after dropping some.
    Raises ValueError when everything holds together.
    """
    removals: list[frozenset[int]] = []
    while True:
        candidate = next(_hitting_sets(everything, removals))
        if not may_hold(candidate):
            return candidate
        removals.append(everything - _grown(candidate, sorted(everything), may_hold))
        if not removals[-1]:
            raise ValueError("everything holds together: there is no conflict")


def nearest_relaxation(
    member: int, oracle: _Oracle[Question], keep_first: Sequence[int]
) -> Relaxation | None:
    """Return the least relaxation of ``member`` that yields a fleet, with what else it needs.

    Where dropping ``member`` alone is not enough, others are dropped with it, those late in
    ``keep_first`` before those early; each is then tightened again as far as it goes, ``member``
    last. None when no fleet was found within the solver's limits.
    """
    others = [i for i in keep_first if i != member]
    kept = _grown(frozenset(), others, oracle.has_fleet)
    relaxed = [*(i for i in reversed(others) if i not in kept), member]
    values = {i: oracle.requirements[i].loosest for i in relaxed}
    outcome = oracle.at(values)
    if not outcome.has_fleet:
        return None
    for i in relaxed:
        values[i], outcome = _least_value(i, values, outcome, oracle)
    told = [
        (r, values[i])
        for i in sorted(relaxed)
        if values[i] != (r := oracle.requirements[i]).current
    ]
    return Relaxation(
        requirement=" and ".join(r.name for r, _ in told),
        current=" and ".join(r.write(r.current) for r, _ in told),
        relaxed=" and ".join(r.write(value) for r, value in told),
        usd_per_hour=outcome.usd_per_hour,
        gpus=outcome.gpus,
    )


def _least_value(
    i: int, values: dict[int, float], outcome: Outcome, oracle: _Oracle[Question]
) -> tuple[float, Outcome]:
    """The strictest value of requirement ``i`` with a fleet, and that fleet; ``values`` has one.

    Tried in turn: the value asked; a value the last fleet is known to need, and one just inside it;
    else values ever further from the one asked, as most relaxations are small; then bisection.
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
        holds(_rounded_outwards(loose, requirement.current))
    return loose, outcome


def _further_and_further(strict: float, loose: float) -> Iterator[float]:
    """Values from ``strict`` by growing ratios, within ``loose``."""
    ratio = 1.25
    while strict > 0:
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
    if abs(loose - strict) <= RELATIVE_STEP * abs(loose):
        return None
    low, high = sorted((strict, loose))
    return math.sqrt(low * high) if low > 0 and high > 4 * low else (low + high) / 2


def _rounded_outwards(value: float, strict: float, digits: int = 3) -> float:
    """Round to significant digits, away from ``strict``, so that the told value still suffices."""
    if value == 0 or not math.isfinite(value):
        return value
    scale = 10.0 ** (digits - 1 - math.floor(math.log10(abs(value))))
    rounded = math.ceil(value * scale) if value > strict else math.floor(value * scale)
    return rounded / scale


class _Oracle(Generic[Question]):
    """Solves edited questions, remembering every answer."""

    def __init__(
        self,
        question: Question,
        requirements: Sequence[Requirement[Question]],
        solve: Callable[[Question], Outcome],
    ) -> None:
        self.question = question
        self.requirements = requirements
        self._solve = solve
        self._known: dict[tuple[tuple[int, float], ...], Outcome] = {}

    def at(self, values: dict[int, float]) -> Outcome:
        """Solve the question with the given requirements at other values."""
        key = tuple(sorted(values.items()))
        if key not in self._known:
            edited = self.question
            for i, value in key:
                edited = self.requirements[i].edit(edited, value)
            self._known[key] = self._solve(edited)
        return self._known[key]

    def keeping(self, kept: frozenset[int]) -> Outcome:
        """Solve with every requirement outside ``kept`` dropped."""
        return self.at({i: r.loosest for i, r in enumerate(self.requirements) if i not in kept})

    def may_hold(self, kept: frozenset[int]) -> bool:
        return not self.keeping(kept).proved_infeasible

    def has_fleet(self, kept: frozenset[int]) -> bool:
        return self.keeping(kept).has_fleet


def _grown(
    start: frozenset[int], others: Sequence[int], holds: Callable[[frozenset[int]], bool]
) -> frozenset[int]:
    """Add ``others`` to ``start`` one by one, in order, for as long as all still hold together."""
    if holds(start.union(others)):
        return start.union(others)
    kept = start
    for i in others:
        if i not in kept and holds(kept | {i}):
            kept |= {i}
    return kept


def _hitting_sets(
    everything: frozenset[int], sets: Sequence[frozenset[int]]
) -> Iterator[frozenset[int]]:
    """Yield sets that meet every one of ``sets``, smallest first."""
    for size in range(len(everything) + 1):
        for chosen in itertools.combinations(sorted(everything), size):
            if all(not s.isdisjoint(chosen) for s in sets):
                yield frozenset(chosen)


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
