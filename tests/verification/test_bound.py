import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import solve
from planner.verification.bound import fluid_bound_usd_per_hour


@st.composite
def problems(draw):
    gpus = ["a", "b"]
    periods = draw(st.integers(1, 2))
    demands = tuple(
        Demand(f"s{i}", f"s{i}", tuple(float(draw(st.integers(1, 30))) for _ in range(periods)))
        for i in range(draw(st.integers(1, 2)))
    )
    kinds = tuple(
        ReplicaKind(f"{g}{n}", g, n, {d.key: draw(st.integers(1, 9)) * n / 2 for d in demands})
        for g in gpus
        for n in (1, 2)
    )
    offers = tuple(
        NodeOffer(
            f"{g}-{size}-{committed}", g, size, draw(st.integers(1, 9)) * size / 2,
            committed=committed,
        )
        for g in gpus
        for size in (2, 4)
        for committed in (False, True)
    )  # fmt: skip
    hours = tuple(float(draw(st.integers(1, 12))) for _ in range(periods))
    return Problem(demands, kinds, offers, period_hours=hours)


@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_no_fleet_costs_less_than_the_fluid_bound(problem):
    assert solve(problem).objective_usd_per_hour >= fluid_bound_usd_per_hour(problem) - 1e-6


def test_the_bound_is_met_when_everything_divides():
    problem = Problem(
        (Demand("s", "s", (12.0,)),),
        (ReplicaKind("k", "a", 2, {"s": 3.0}),),
        (NodeOffer("o", "a", 4, 10.0),),
    )
    assert fluid_bound_usd_per_hour(problem) == pytest.approx(20.0)
    assert solve(problem).objective_usd_per_hour == pytest.approx(20.0)


def test_what_nothing_serves_has_no_bound():
    problem = Problem((Demand("s", "s", (1.0,)),), (), (NodeOffer("o", "a", 4, 10.0),))
    assert fluid_bound_usd_per_hour(problem) == math.inf
