"""A question as a list of requirements: edited one by one, solved, and remembered.

A requirement is anything required that could be required less strictly: a rate, a latency target, a stock
limit, a budget, a list of allowed GPUs. The question is anything that can be edited and solved: a
``Problem``, a ``Scenario``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from planner.fleet.program.problem import Status

Question = TypeVar("Question")


@dataclass(frozen=True, slots=True)
class FeasibilityOutcome:
    """What solving an edited question gave.

    ``status``: "optimal", "feasible", "infeasible" or "unknown"; when there is a fleet, the cost of
    the cheapest [USD/h], the GPUs it is billed for in its largest period by type, and the most
    nodes it is billed for by offer.
    """

    status: Status
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
    """One thing required, with the number that states how strictly.

    ``name``: the scenario's own words; ``current`` moves towards ``loosest``, where it no longer
    binds; ``whole``: only whole numbers make sense; ``edit`` returns the question requested at a value;
    ``write`` puts a value in the scenario's words; ``enough`` reads from an outcome a value known
    to suffice (a budget equal to the cost found), which shortens the search; ``trades_off``: a looser
    value makes a fleet cheaper, not only possible (a latency target); ``widens``: a looser value lets
    far more deployments be tried, so that a question that keeps it is answered sooner.
    """

    name: str
    current: float
    loosest: float
    edit: Callable[[Question, float], Question]
    write: Callable[[float], str]
    whole: bool = False
    enough: Callable[[FeasibilityOutcome], float | None] = lambda outcome: None
    trades_off: bool = False
    widens: bool = False


class Oracle(Generic[Question]):
    """Solves edited questions, remembering every answer and what follows from it.

    What holds together still holds after dropping some, so a larger set with a fleet answers for all
    smaller ones. A set is first tried with every requirement kept that ``widens``: its question is much
    smaller, and where it has a fleet, so has the set.
    """

    def __init__(
        self,
        question: Question,
        requirements: Sequence[Requirement[Question]],
        solve: Callable[[Question], FeasibilityOutcome],
    ) -> None:
        self.question = question
        self.requirements = requirements
        self.widening = frozenset(i for i, r in enumerate(requirements) if r.widens)
        self._solve = solve
        self._known: dict[tuple[tuple[int, float], ...], FeasibilityOutcome] = {}
        self._with_fleet: list[frozenset[int]] = []
        self._without: list[frozenset[int]] = []

    def at(self, values: dict[int, float]) -> FeasibilityOutcome:
        """Solve the question with the given requirements at other values."""
        key = tuple(sorted(values.items()))
        if key not in self._known:
            edited = self.question
            for i, value in key:
                edited = self.requirements[i].edit(edited, value)
            self._known[key] = self._solve(edited)
        return self._known[key]

    def keeping(self, kept: frozenset[int]) -> FeasibilityOutcome:
        """Solve with every requirement outside ``kept`` dropped."""
        outcome = self.at({i: r.loosest for i, r in enumerate(self.requirements) if i not in kept})
        if outcome.has_fleet:
            self._with_fleet.append(kept)
        elif outcome.proved_infeasible:
            self._without.append(kept)
        return outcome

    def may_hold(self, kept: frozenset[int]) -> bool:
        """Whether it is not proved that no fleet meets all of ``kept``."""
        known = self._known_of(kept)
        return not self.keeping(kept).proved_infeasible if known is None else known

    def has_fleet(self, kept: frozenset[int]) -> bool:
        """Whether a fleet was found that meets all of ``kept``."""
        known = self._known_of(kept)
        return self.keeping(kept).has_fleet if known is None else known

    def least_without(self) -> frozenset[int]:
        """The fewest requirements that were found to have no fleet together."""
        return min(self._without, key=lambda kept: (len(kept), sorted(kept)))

    def _known_of(self, kept: frozenset[int]) -> bool | None:
        """Whether ``kept`` has a fleet, as far as larger and smaller sets tell."""
        if any(kept <= larger for larger in self._with_fleet):
            return True
        if any(kept >= smaller for smaller in self._without):
            return False
        narrow = kept | self.widening
        if narrow != kept and self.keeping(narrow).has_fleet:
            return True
        return None
