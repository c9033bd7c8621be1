"""The share of spot nodes in what serves, found again without the program."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from planner.verification.check import Verdict
from planner.verification.spot_share import spot_share_checks


def node(gpus, count, term="on-demand", gpu="a"):
    return SimpleNamespace(gpu=gpu, gpus_per_node=gpus, count=count, term=term)


def group(gpus, replicas, gpu="a", share=1.0):
    return SimpleNamespace(
        gpus_by_type={gpu: gpus},
        gpu_share=share,
        replicas=replicas,
        key=lambda _, name=(gpus, gpu, share): name,
    )


def checked(groups, nodes, share=0.5):
    plan = SimpleNamespace(
        scenario=SimpleNamespace(spot=SimpleNamespace(max_share=share)),
        services=(SimpleNamespace(name="s", replica_groups=groups),),
        varies=False,
        nodes=nodes,
    )
    return [c.verdict for c in spot_share_checks(plan)]


@pytest.mark.parametrize(
    ("groups", "nodes", "holds"),
    [
        ((group(1, 3),), (node(1, 3, "spot"), node(1, 3, gpu="b")), False),
        ((group(1, 3),), (node(1, 1, "spot"), node(1, 2)), True),
        ((group(1, 3),), (node(1, 2, "spot"), node(1, 1)), False),
        ((group(1, 2),), (node(8, 1, "spot"), node(1, 1)), True),
        ((group(4, 2),), (node(8, 1, "spot"), node(4, 1)), True),
        ((group(16, 2),), (node(8, 2, "spot"), node(8, 2)), True),
        ((group(1, 3, share=0.5),), (node(1, 1, "spot"), node(1, 1)), True),
        ((group(1, 5, share=0.5),), (node(1, 2, "spot"), node(1, 1)), False),
        ((group(1, 1), group(1, 2, "b")), (node(1, 1, "spot"), node(1, 2, gpu="b")), True),
    ],
)
def test_what_is_in_use_decides(groups, nodes, holds):
    assert checked(groups, nodes) == [Verdict.HOLDS if holds else Verdict.FAILS]


def test_what_no_filling_settles_is_said():
    """Groups of three fit no node of two, though eight GPUs stay for six: counting alone cannot tell."""
    groups, nodes = (group(3, 2),), (node(8, 1, "spot"), node(2, 4))
    assert checked(groups, nodes, share=0.1) == [Verdict.SKIPPED]


@pytest.mark.parametrize("seed", range(40))
def test_every_placement_of_small_fleets_agrees(seed):
    rng = random.Random(seed)
    groups = tuple(group(size, rng.randint(0, 3)) for size in (1, 2, 4))
    stay = [rng.choice([1, 2, 4]) for _ in range(rng.randint(0, 3))]
    share = rng.choice([0.0, 0.3, 0.5])
    pieces = [g.gpus_by_type["a"] for g in groups for _ in range(g.replicas)]
    most = most_on(tuple(stay), tuple(pieces))
    expected = sum(pieces) - most <= share * sum(pieces) + 1e-9
    nodes = (node(8, 9, "spot"), *(node(size, 1) for size in stay))
    found = checked(groups, nodes, share)
    assert (found == [Verdict.HOLDS]) == expected


def most_on(nodes, pieces):
    """The most GPUs of the pieces that lie on the nodes, each on one."""
    if not pieces:
        return 0
    first, rest = pieces[0], pieces[1:]
    best = most_on(nodes, rest)
    for i, room in enumerate(nodes):
        if room >= first:
            left = (*nodes[:i], room - first, *nodes[i + 1 :])
            best = max(best, first + most_on(left, rest))
    return best
