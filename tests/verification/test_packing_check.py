import itertools
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from planner.verification.packing import fits


def by_trying_everything(pieces, nodes):
    """Every assignment of pieces to nodes."""
    return any(
        all(
            sum(p for p, n in zip(pieces, chosen, strict=True) if n == i) <= free
            for i, free in enumerate(nodes)
        )
        for chosen in itertools.product(range(len(nodes)), repeat=len(pieces))
    )


@given(
    pieces=st.lists(st.integers(1, 6), max_size=6),
    nodes=st.lists(st.integers(1, 8), min_size=1, max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_fits_agrees_with_trying_every_assignment(pieces, nodes):
    assert fits(Counter(pieces), nodes) is by_trying_everything(pieces, nodes)


def test_first_fit_misses_what_the_search_finds():
    """3 + 3 + 2 and 2 + 2 + 2 + 2 fill two nodes of eight; largest first leaves no room."""
    assert fits(Counter([3, 3, 2, 2, 2, 2, 2]), [8, 8]) is True
    assert fits(Counter([5, 5, 5]), [8, 8]) is False
    assert fits(Counter([3] * 5), [8, 8]) is False
