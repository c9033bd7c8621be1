"""Counting GPUs is exact where sizes nest, and patterns are all there is elsewhere."""

from __future__ import annotations

from fractions import Fraction

import pytest
from fleet_oracle import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet.program.mixtures import mixtures
from planner.fleet.program.packing import Shape, cuts, group_gpus, nested, patterns, share_of
from planner.fleet.program.problem import ReplicaKind


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
    listed = mixtures(kinds, Shape(3, 3), most=100)
    assert listed.whole
    assert {tuple(sorted(m.replicas)) for m in listed.mixtures} == {
        (("one", 1),),
        (("one", 2),),
        (("one", 3),),
        (("two", 1),),
        (("one", 1), ("two", 1)),
    }
    alone = mixtures(kinds, Shape(3, 3), most=4)
    assert not alone.whole
    assert all(len(m.replicas) == 1 for m in alone.mixtures)


def test_replicas_on_shares_of_gpus_fill_a_node() -> None:
    kinds = (ReplicaKind("half", "a", 1, {}, gpu_share=0.5), ReplicaKind("one", "a", 1, {}))
    listed = mixtures(kinds, Shape(2, 2), most=100)
    assert {
        (dict(m.replicas).get("half", 0), dict(m.replicas).get("one", 0)) for m in listed.mixtures
    } == {
        (1, 0),
        (2, 0),
        (3, 0),
        (4, 0),
        (0, 1),
        (0, 2),
        (1, 1),
        (2, 1),
    }
    odd = mixtures((ReplicaKind("most", "a", 1, {}, gpu_share=0.6),), Shape(2, 2), most=100)
    assert max(n for m in odd.mixtures for _, n in m.replicas) == 2


@pytest.mark.parametrize(
    ("sizes", "node", "reach", "nodes"),
    [
        ((4, 4), 4, 4, 2),
        ((4, 4, 4), 8, 8, 2),
        ((8, 8), 8, 8, 2),
        ((8, 4), 4, 8, 3),
        ((6, 6), 8, 8, 2),
    ],
)
def test_a_replica_larger_than_a_node_takes_nodes_of_its_own(
    sizes: tuple[int, ...], node: int, reach: int, nodes: int
) -> None:
    kind = ReplicaKind("wide", "a", sum(sizes), {}, group_sizes=sizes)
    (only,) = mixtures((kind,), Shape(node, reach), most=100).mixtures
    assert (only.replicas, only.nodes) == ((("wide", 1),), nodes)
