"""The oracle of the conflict search: few questions, small ones first, and the same conflict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planner.fleet.infeasibility.conflict import smallest_conflict
from planner.fleet.infeasibility.oracle import FeasibilityOutcome, Oracle, Requirement

SETS = st.frozensets(st.integers(0, 5), min_size=1)


def _switch(name: str, *, widens: bool = False) -> Requirement[frozenset[str]]:
    return Requirement(
        name=name,
        current=0,
        loosest=1,
        edit=lambda dropped, value: dropped | {name} if value else dropped,
        write=str,
        widens=widens,
    )


class _Question:
    """Infeasible while all of ``conflict`` is kept; notes which sets were dropped."""

    def __init__(self, names: str, widening: str, conflict: str) -> None:
        self.requested: list[frozenset[str]] = []
        self.conflict = frozenset(conflict)
        self.requirements = [_switch(n, widens=n in widening) for n in names]
        self.oracle = Oracle(frozenset(), self.requirements, self._solve)

    def _solve(self, dropped: frozenset[str]) -> FeasibilityOutcome:
        self.requested.append(dropped)
        return FeasibilityOutcome(
            "infeasible" if self.conflict.isdisjoint(dropped) else "optimal", 1.0
        )


@given(conflicts=st.lists(SETS, min_size=1, max_size=6), first=st.frozensets(st.integers(0, 5)))
def test_the_conflict_is_the_same_whatever_is_kept_first(
    conflicts: list[frozenset[int]], first: frozenset[int]
) -> None:
    def may_hold(kept: frozenset[int]) -> bool:
        return not any(c <= kept for c in conflicts)

    everything = frozenset(range(6))
    plain = smallest_conflict(everything, may_hold)
    assert smallest_conflict(everything, may_hold, first) == plain
    assert (len(plain), sorted(plain)) == min((len(c), sorted(c)) for c in conflicts)


def test_a_wider_search_is_solved_only_where_the_narrow_one_has_no_fleet() -> None:
    question = _Question("abcw", widening="w", conflict="ab")
    assert question.oracle.may_hold(frozenset({0, 2}))
    assert question.requested == [frozenset("b")]  # the search is kept as it is
    assert not question.oracle.may_hold(frozenset({0, 1}))
    assert question.requested[1:] == [frozenset("c"), frozenset("cw")]


def test_what_a_larger_set_shows_is_not_solved_again() -> None:
    question = _Question("abc", widening="", conflict="ab")
    assert question.oracle.has_fleet(frozenset({0, 2}))
    assert question.oracle.has_fleet(frozenset({0}))
    assert question.oracle.may_hold(frozenset())
    assert len(question.requested) == 1
    assert not question.oracle.may_hold(frozenset({0, 1}))
    assert not question.oracle.has_fleet(frozenset({0, 1, 2}))
    assert len(question.requested) == 2
