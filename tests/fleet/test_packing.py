"""Counting GPUs is exact where sizes nest, and patterns are all there is elsewhere."""

from __future__ import annotations

from fractions import Fraction

import pytest
from fleet_oracle import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet.packing import Shape, cuts, group_gpus, mixtures, nested, patterns, share_of
from planner.fleet.problem import ReplicaKind


@given(
    groups=st.lists(st.sampled_from([1, 2, 4, 8]), max_size=9),
    nodes=st.lists(st.sampled_from([1, 2, 4, 8]), max_size=5),
)
@settings(max_examples=400, deadline=None)
def test_counting_by_size_is_exact_where_sizes_nest(groups: list[int], nodes: list[int]) -> None:
    counted = all(
        sum(g for g in groups if g >= size) <= sum(n for n in nodes if n >= size)
        for size in set(groups)
    )
    assert counted == fits(tuple(sorted(nodes)), tuple(sorted(groups, reverse=True)))


@given(sizes=st.sets(st.integers(1, 6), min_size=1, max_size=3), node=st.sampled_from([4, 6, 8]))
@settings(max_examples=100, deadline=None)
def test_patterns_cover_every_way_to_fill_a_node(sizes: set[int], node: int) -> None:
    ordered = tuple(sorted(sizes))
    found = [dict(p.slots) for p in patterns(ordered, Shape(node, node))]
    for filled in found:
        used = sum(s * n for s, n in filled.items())
        assert used <= node
        assert node - used < min(sizes)

    def fillings(left: int, remaining: tuple[int, ...]) -> list[dict[int, int]]:
        if not remaining:
            return [{}]
        size, *rest = remaining
        return [
            {size: n, **other}
            for n in range(left // size + 1)
            for other in fillings(left - n * size, tuple(rest))
        ]

    for way in fillings(node, ordered):
        if any(way.values()):
            assert any(all(p.get(s, 0) >= n for s, n in way.items()) for p in found)


@pytest.mark.parametrize(
    ("groups", "shapes", "exact"),
    [
        ([1, 2, 4, 8], [Shape(8, 8)], True),
        ([2, 4], [Shape(8, 8), Shape(4, 4)], True),
        ([3], [Shape(8, 8)], False),
        ([3, 6], [Shape(6, 6)], True),
        ([2, 3], [Shape(6, 6)], False),
        ([16], [Shape(4, 72)], True),
        ([8, 72], [Shape(4, 72)], True),
    ],
)
def test_nested(groups: list[int], shapes: list[Shape], exact: bool) -> None:
    assert nested(groups, shapes) is exact


def test_a_group_wider_than_a_node_takes_whole_nodes() -> None:
    (wide,) = (p for p in patterns((6,), Shape(4, 72)) if dict(p.slots) == {6: 1})
    assert wide.nodes == 2


def test_gpus_in_groups_of_a_size_or_more() -> None:
    kind = ReplicaKind("pd", "a", 10, {}, group_sizes=(2, 4, 4))
    assert group_gpus(kind, 1) == 10
    assert group_gpus(kind, 4) == 8
    assert ReplicaKind("pp", "a", 10, {}, group_gpus=4).groups == (4, 4, 2)


def test_shares_of_a_gpu_are_fractions_never_rounded_down() -> None:
    def share(value: float) -> Fraction:
        return share_of(ReplicaKind("k", "a", 1, {}, gpu_share=value))

    assert share(1 / 7) == Fraction(1, 7)
    assert share(0.25) == Fraction(1, 4)
    assert share(0.123456) >= 0.123456
    thirds = cuts((Fraction(1, 3), Fraction(1, 2)), 6)
    assert set(thirds) == {(3, 0), (1, 1), (0, 2)}


def test_mixtures_are_every_set_of_replicas_that_fits() -> None:
    kinds = (ReplicaKind("one", "a", 1, {}), ReplicaKind("two", "a", 2, {}))
    found = {tuple(sorted(m)) for m in mixtures(kinds, Shape(3, 3), most=100)}
    assert found == {
        (("one", 1),),
        (("one", 2),),
        (("one", 3),),
        (("two", 1),),
        (("one", 1), ("two", 1)),
    }
    alone = mixtures(kinds, Shape(3, 3), most=4)
    assert all(len(m) == 1 for m in alone)
