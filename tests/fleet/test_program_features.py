"""Families of the program one at a time: shares, reserve, windows, migration, quotas, tenancy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from planner.errors import InputError
from planner.fleet.program.problem import Cap, Demand, FleetLimits, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import solve


def demand(*rates: float, key: str = "s", kinds: int | None = 1) -> Demand:
    return Demand(key, key, rates, max_kinds=kinds)


def on(
    gpu: str, qps: float, gpus: int = 1, key: str = "", s: str = "s", **more: Any
) -> ReplicaKind:
    return ReplicaKind(key or f"{gpu}{gpus}{s}", gpu, gpus, {s: qps}, **more)


def test_small_replicas_share_a_gpu() -> None:
    kinds = (on("a", 2.0, gpu_share=0.5, s="x"), on("a", 2.0, gpu_share=0.5, s="y"))
    problem = Problem(
        (demand(5.0, key="x"), demand(1.0, key="y")), kinds, (NodeOffer("a", "a", 2, 10.0),)
    )
    solution = solve(problem)
    assert solution.replicas == {(kinds[0].key, 0): 3, (kinds[1].key, 0): 1}
    assert solution.billed == {("a", 0): 1}


def test_shares_that_do_not_add_up_take_a_gpu_each() -> None:
    kinds = (on("a", 1.0, gpu_share=0.6),)
    problem = Problem((demand(3.0),), kinds, (NodeOffer("a", "a", 1, 1.0),))
    assert solve(problem).billed == {("a", 0): 3}


def test_a_share_is_beside_a_whole_group() -> None:
    kinds = (on("a", 1.0, gpu_share=0.5, s="x"), on("a", 1.0, gpus=3, s="y"))
    demands = (demand(2.0, key="x"), demand(1.0, key="y"))
    problem = Problem(demands, kinds, (NodeOffer("a", "a", 4, 1.0),))
    assert solve(problem).billed == {("a", 0): 1}


def test_the_spot_reserve_stays_idle() -> None:
    spot = NodeOffer("spot", "a", 1, 1.0, spot=True, reserve_share=0.25)
    problem = Problem((demand(3.0),), (on("a", 1.0),), (spot,))
    assert solve(problem).billed == {("spot", 0): 4}


def test_offers_run_and_cost_in_their_periods_only() -> None:
    offers = (
        NodeOffer("year", "a", 1, 0.5, committed=True, periods=(1, 2)),
        NodeOffer("day", "a", 1, 1.0),
    )
    problem = Problem((demand(2.0, 2.0, 2.0),), (on("a", 1.0),), offers, period_hours=(1.0,) * 3)
    solution = solve(problem)
    assert solution.billed == {("day", 0): 2, ("year", 1): 2, ("year", 2): 2}
    assert solution.objective_usd_per_hour == pytest.approx((2.0 + 1.0 + 1.0) / 3)


def test_a_commitment_is_paid_while_idle() -> None:
    offers = (NodeOffer("year", "a", 1, 0.6, committed=True), NodeOffer("day", "a", 1, 1.0))
    for share, expected in ((0.7, 0.6), (0.5, 0.5)):
        hours = (share, 1 - share)
        problem = Problem((demand(1.0, 0.0),), (on("a", 1.0),), offers, period_hours=hours)
        assert solve(problem).objective_usd_per_hour == pytest.approx(expected)


def test_leaving_what_runs_costs_the_overlap() -> None:
    old = NodeOffer("old", "a", 1, 5.0, max_nodes=2, existing=2)
    new = NodeOffer("new", "b", 1, 1.0)
    problem = Problem((demand(2.0),), (on("a", 1.0), on("b", 1.0)), (old, new), overlap_hours=0.1)
    solution = solve(problem)
    assert solution.billed == {("new", 0): 2}
    assert solution.overlap_node_hours == {"old": pytest.approx(0.2)}
    assert solution.objective_usd_per_hour == pytest.approx(2.0 + 0.1 * 2 * 5.0)
    stay = solve(replace(problem, overlap_hours=5.0))
    assert stay.billed == {("old", 0): 2}


def test_old_nodes_count_against_limits_while_new_ones_come_up() -> None:
    old = NodeOffer("old", "a", 1, 5.0, max_nodes=2, existing=2)
    problem = Problem(
        (demand(2.0),),
        (on("a", 1.0), on("b", 1.0)),
        (old, NodeOffer("new", "b", 1, 1.0)),
        FleetLimits(max_gpus=3),
        overlap_hours=0.1,
    )
    assert solve(problem).billed == {("old", 0): 2}


def test_a_quota_sends_the_rest_elsewhere() -> None:
    offers = (NodeOffer("r1", "a", 1, 1.0, zone="r1"), NodeOffer("r2", "a", 1, 2.0, zone="r2"))
    limits = FleetLimits(caps=(Cap("region r1", 2, {"r1": 1.0}),))
    assert solve(Problem((demand(3.0),), (on("a", 1.0),), offers, limits)).billed == {
        ("r1", 0): 2,
        ("r2", 0): 1,
    }


def test_services_keep_their_nodes_apart_where_they_may_not_share() -> None:
    demands = (demand(1.0, key="x"), demand(1.0, key="y"))
    kinds = (on("a", 1.0, gpus=4, s="x"), on("a", 1.0, gpus=4, s="y"))
    problem = Problem(demands, kinds, (NodeOffer("a", "a", 8, 8.0),))
    assert solve(problem).billed == {("a", 0): 1}
    assert solve(replace(problem, share_nodes=False)).billed == {("a", 0): 2}


def test_prefill_and_decode_pools_are_one_kind_with_groups_of_two_sizes() -> None:
    pools = ReplicaKind("2P4+1P8", "a", 16, {"s": 5.0}, group_sizes=(4, 4, 8))
    problem = Problem((demand(9.0),), (pools,), (NodeOffer("a", "a", 8, 8.0),))
    solution = solve(problem)
    assert solution.replicas == {("2P4+1P8", 0): 2}
    assert solution.billed == {("a", 0): 4}


def test_spot_is_capped_by_share() -> None:
    offers = (NodeOffer("spot", "a", 1, 0.2, spot=True), NodeOffer("day", "a", 1, 1.0))
    limits = FleetLimits(max_spot_share=0.5)
    solution = solve(Problem((demand(4.0),), (on("a", 1.0),), offers, limits))
    assert solution.billed == {("spot", 0): 2, ("day", 0): 2}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: on("a", 1.0, gpus=2, gpu_share=0.5),
        lambda: on("a", float("inf")),
        lambda: NodeOffer("a", "a", 0, 1.0),
        lambda: NodeOffer("a", "a", 1, -1.0),
        lambda: demand(-1.0),
        lambda: Problem((demand(1.0),), (), (), period_hours=(0.0,)),
        lambda: Problem((demand(1.0),), (), (), period_hours=(1.0, 1.0)),
        lambda: Problem((demand(1.0), demand(1.0)), (), ()),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        wrong()
