"""The program on problems small enough to know the answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.errors import InputError
from planner.fleet.program.problem import Demand, FleetLimits, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import build, solve

H100_NODE = NodeOffer("p5", "h100", 8, 80.0)


def one_service(rate: float = 50.0, max_kinds: int | None = 1) -> tuple[Demand, ...]:
    return (Demand("chat", "chat", (rate,), max_kinds=max_kinds),)


def kind(key: str, gpu: str, gpus: int, qps: float, tpot_s: float = 0.0) -> ReplicaKind:
    return ReplicaKind(key, gpu, gpus, {"chat": qps}, tpot_s=tpot_s)


def melange(whole: bool) -> Problem:
    """Griggs et al. 2024, "Melange": 30 req/s in a 2x2 grid of buckets on A10G and A100."""
    shares = (0.2, 0.1, 0.5, 0.2)
    a10g, a100 = (2.0, 1.0, 5.0, 2.0), (20.0, 20.0, 40.0, 20.0)
    return Problem(
        tuple(Demand(f"b{i}", "s", (30 * s,), whole=whole) for i, s in enumerate(shares)),
        (
            ReplicaKind("a10g", "a10g", 1, {f"b{i}": c for i, c in enumerate(a10g)}),
            ReplicaKind("a100", "a100", 1, {f"b{i}": c for i, c in enumerate(a100)}),
        ),
        (NodeOffer("g5", "a10g", 1, 1.01), NodeOffer("p4", "a100", 1, 3.67)),
    )


@pytest.mark.parametrize("solver", ["highs", "cbc"])
@pytest.mark.parametrize(
    ("whole", "usd", "a10g", "a100"), [(True, 6.70, 3, 1), (False, 4.68, 1, 1)]
)
def test_melange_published_example(
    solver: str, whole: bool, usd: float, a10g: int, a100: int
) -> None:
    solution = solve(melange(whole), solver=solver)
    assert solution.status == "optimal"
    assert solution.objective_usd_per_hour == pytest.approx(usd, abs=1e-6)
    assert solution.replicas == {("a10g", 0): a10g, ("a100", 0): a100}


def test_whole_nodes_are_rented() -> None:
    problem = Problem(one_service(), (kind("tp4", "h100", 4, 20.0),), (H100_NODE,))
    solution = solve(problem)
    assert solution.replicas == {("tp4", 0): 3}
    assert solution.billed == {("p5", 0): 2}
    assert solution.objective_usd_per_hour == pytest.approx(160.0)
    assert solution.routed_qps == {("chat", "tp4", 0): pytest.approx(50.0)}


def test_stock_moves_the_plan_to_another_gpu() -> None:
    kinds = (kind("h", "h100", 4, 20.0), kind("a", "a100", 4, 10.0))
    offers = (H100_NODE, NodeOffer("p4d", "a100", 8, 60.0))
    free = solve(Problem(one_service(), kinds, offers))
    short = solve(Problem(one_service(), kinds, offers, FleetLimits(stock={"h100": 8})))
    assert free.replicas == {("h", 0): 3}
    assert short.replicas == {("a", 0): 5}
    assert short.objective_usd_per_hour == pytest.approx(180.0)


def test_mixing_uses_what_stock_is_left() -> None:
    kinds = (kind("h", "h100", 4, 20.0), kind("a", "a100", 4, 10.0))
    offers = (H100_NODE, NodeOffer("p4d", "a100", 8, 60.0))
    problem = Problem(one_service(max_kinds=2), kinds, offers, FleetLimits(stock={"h100": 8}))
    solution = solve(problem)
    assert solution.replicas == {("h", 0): 2, ("a", 0): 1}
    assert solution.objective_usd_per_hour == pytest.approx(140.0)


@pytest.mark.parametrize(
    "limits",
    [
        FleetLimits(max_gpus=8),
        FleetLimits(max_usd_per_hour=159.0),
        FleetLimits(stock={"h100": 0}),
        FleetLimits(max_power_kw=15.0),
    ],
)
@pytest.mark.parametrize("solver", ["highs", "cbc"])
def test_a_limit_too_tight_is_infeasible(limits: FleetLimits, solver: str) -> None:
    offer = NodeOffer("p5", "h100", 8, 80.0, power_kw=10.0)
    problem = Problem(one_service(), (kind("tp4", "h100", 4, 20.0),), (offer,), limits)
    solution = solve(problem, solver=solver)
    assert solution.status == "infeasible"
    assert solution.objective_usd_per_hour is None
    assert solution.replicas == {}


def test_no_kind_and_no_offer_are_infeasible_not_a_crash() -> None:
    assert solve(Problem(one_service(), (), (H100_NODE,))).status == "infeasible"
    assert solve(Problem(one_service(), (kind("t", "h100", 4, 9.0),), ())).status == "infeasible"
    idle = Problem(one_service(), (kind("t", "h100", 4, 0.0),), (H100_NODE,))
    assert solve(idle).status == "infeasible"


def test_short_stock_serves_the_heaviest_demand_first() -> None:
    demands = (
        Demand("batch", "batch", (100.0,), weight=1.0),
        Demand("chat", "chat", (50.0,), weight=10.0),
    )
    kinds = (
        ReplicaKind("b", "h100", 4, {"batch": 50.0}),
        ReplicaKind("c", "h100", 4, {"chat": 20.0}),
    )
    problem = Problem(
        demands, kinds, (H100_NODE,), FleetLimits(stock={"h100": 16}), serve_all=False
    )
    solution = solve(problem)
    assert solution.replicas == {("c", 0): 3, ("b", 0): 1}
    assert solution.unserved_qps == {("batch", 0): pytest.approx(50.0)}


def test_ties_go_to_fewer_gpus_then_to_lower_tpot() -> None:
    kinds = (
        kind("slow", "h100", 8, 60.0, tpot_s=0.05),
        kind("fast", "h100", 8, 60.0, tpot_s=0.02),
        kind("small", "a100", 4, 60.0, tpot_s=0.09),
    )
    offers = (H100_NODE, NodeOffer("a", "a100", 4, 80.0))
    assert solve(Problem(one_service(), kinds, offers)).replicas == {("small", 0): 1}
    assert solve(Problem(one_service(), kinds[:2], offers)).replicas == {("fast", 0): 1}


def test_a_wide_group_spans_nodes_of_one_rack_only() -> None:
    rack = NodeOffer("gb200", "gb200", 4, 40.0, link_gpus=72)
    wide = ReplicaKind("tp8", "gb200", 8, {"chat": 60.0})
    assert solve(Problem(one_service(), (wide,), (rack,))).billed == {("gb200", 0): 2}
    single = NodeOffer("tray", "gb200", 4, 40.0)
    assert solve(Problem(one_service(), (wide,), (single,))).status == "infeasible"


def test_groups_of_three_need_patterns() -> None:
    kinds = (ReplicaKind("tp3", "h100", 3, {"chat": 10.0}),)
    solution = solve(Problem(one_service(40.0), kinds, (H100_NODE,)))
    assert solution.replicas == {("tp3", 0): 4}
    assert solution.billed == {("p5", 0): 2}


@pytest.mark.parametrize("solver", ["highs", "cbc"])
def test_a_time_limit_is_never_a_proof(solver: str) -> None:
    import random

    rng = random.Random(5)
    demands = tuple(Demand(f"s{i}", f"s{i}", (rng.uniform(5, 90),)) for i in range(60))
    kinds = tuple(
        ReplicaKind(f"k{i}-{j}", f"g{j % 7}", 2 ** rng.randrange(4), {f"s{i}": rng.uniform(1, 9)})
        for i in range(60)
        for j in range(25)
    )
    offers = tuple(
        NodeOffer(f"o{j}", f"g{j}", 8, rng.uniform(10, 90), max_nodes=40) for j in range(7)
    )
    solution = solve(Problem(demands, kinds, offers), solver=solver, time_limit_s=0.2)
    assert solution.status in ("feasible", "unknown")


def test_wrong_calls_are_refused() -> None:
    problem = Problem(one_service(), (kind("t", "h100", 4, 9.0),), (H100_NODE,))
    with pytest.raises(InputError, match="solver"):
        solve(problem, solver="gurobi")
    with pytest.raises(InputError, match="time limit"):
        solve(problem, time_limit_s=0.0)
    with pytest.raises(InputError, match="price"):
        Problem(one_service(), (), (NodeOffer("p5", "h100", 8, -1.0),))
    with pytest.raises(InputError, match="rates"):
        Problem((Demand("a", "a", (float("nan"),)),), (), ())


def test_every_family_that_build_writes_is_named_once_per_row() -> None:
    columns = build(melange(whole=True))
    assert set(columns.model.families()) == {"demand", "capacity", "whole", "packing"}


def test_threads_may_change_from_solve_to_solve() -> None:
    for threads in (1, 2, 1):
        assert solve(melange(whole=False), threads=threads).status == "optimal"


@pytest.mark.parametrize("max_kinds", [1, None])
def test_a_limit_on_the_mean_rules_out_what_costs_more_over_all_periods(
    max_kinds: int | None,
) -> None:
    demand = Demand("chat", "chat", (10.0, 50.0), max_kinds=max_kinds)
    kinds = (kind("h", "h100", 4, 20.0), kind("a", "a100", 4, 10.0))
    offers = (H100_NODE, NodeOffer("p4d", "a100", 8, 60.0))
    free = Problem((demand,), kinds, offers, period_hours=(20.0, 4.0))
    best = solve(free)
    assert best.objective_usd_per_hour is not None
    for share, status in ((1.001, "optimal"), (0.999, "infeasible")):
        most = share * best.objective_usd_per_hour  # less than what the dear hours cost
        solution = solve(replace(free, limits=FleetLimits(mean_usd_per_hour=most)))
        assert solution.status == status
        if status == "optimal":
            assert solution.objective_usd_per_hour == best.objective_usd_per_hour
            assert solution.billed == best.billed
