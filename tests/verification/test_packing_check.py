import itertools
from collections import Counter

import plan_builder as build
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.verification.billed_nodes import BilledNodes
from planner.verification.check import Verdict
from planner.verification.packing import fits, packing_of


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
    assert fits(Counter(pieces), Counter(nodes)) is by_trying_everything(pieces, nodes)


def test_first_fit_misses_what_the_search_finds():
    """3 + 3 + 2 and 2 + 2 + 2 + 2 fill two nodes of eight; largest first leaves no space."""
    assert fits(Counter([3, 3, 2, 2, 2, 2, 2]), Counter([8, 8])) is True
    assert fits(Counter([5, 5, 5]), Counter([8, 8])) is False
    assert fits(Counter([3] * 5), Counter([8, 8])) is False


def test_millions_of_pieces_are_packed_by_counts():
    assert fits(Counter({4: 2_000_000, 8: 1_000_000}), Counter({8: 2_000_000})) is True
    assert fits(Counter({8: 1_000_001}), Counter({8: 1_000_000, 4: 2})) is None
    assert fits(Counter({8: 1_000_001}), Counter({8: 1_000_000})) is False


def shared(share, replicas, nodes):
    group = build.group(
        gpu="l40s", tensor_parallel=1, gpu_share=share, replicas=replicas, gpus=replicas
    )
    node = build.node(gpu="l40s", gpus_per_node=1, count=nodes)
    (check,) = packing_of([(group, replicas)], BilledNodes("always", ((node, nodes),)))
    return check.verdict


def test_replicas_on_shares_fill_whole_gpus():
    assert shared(0.5, 4, 2) is Verdict.HOLDS
    assert shared(0.5, 5, 2) is Verdict.FAILS
    assert shared(1 / 3, 6, 2) is Verdict.HOLDS
    assert shared(0.4, 3, 1) is Verdict.FAILS
