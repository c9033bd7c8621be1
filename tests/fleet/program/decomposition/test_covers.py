"""The cheapest whole cover of a demand against all covers."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet.program.decomposition.covers import cheapest_cover


@given(
    kinds=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 12)), min_size=1, max_size=3),
    need=st.integers(1, 25),
)
@settings(max_examples=150, deadline=None)
def test_the_cheapest_cover_is_the_cheapest_of_all(kinds: list[tuple[int, int]], need: int) -> None:
    counts = itertools.product(*(range(-(-need // size) + 1) for _, size in kinds))
    best = min(
        sum(n * price for n, (price, _) in zip(c, kinds, strict=True))
        for c in counts
        if sum(n * size for n, (_, size) in zip(c, kinds, strict=True)) >= need
    )
    found = cheapest_cover([(i, float(p), float(s)) for i, (p, s) in enumerate(kinds)], float(need))
    assert found.price == found.bound == best
    assert sum(n * kinds[i][0] for i, n in found.cover) == best
    assert sum(n * kinds[i][1] for i, n in found.cover) >= need


def test_a_search_too_long_still_gives_a_cover_and_a_bound() -> None:
    equal = [(i, 100.0 + i / 1000, 1.0 + i / 99999) for i in range(40)]
    found = cheapest_cover(equal, 1234.56789)
    assert sum(n * equal[i][2] for i, n in found.cover) >= 1234.56789
    assert 0 < found.bound < found.price
