import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet.alternatives.shadow_prices import shadow_values
from planner.fleet.program.problem import (
    Cap,
    Demand,
    FleetLimits,
    NodeOffer,
    Problem,
    ReplicaKind,
    Solution,
)
from planner.fleet.program.program import solve


def problem_with(limits, rate=20.0):
    return Problem(
        demands=(Demand("chat", "chat", (rate,), max_kinds=None),),
        kinds=(
            ReplicaKind("fast", "h100", 1, {"chat": 4.0}),
            ReplicaKind("slow", "a10g", 1, {"chat": 1.0}),
        ),
        offers=(NodeOffer("h", "h100", 1, 3.0), NodeOffer("a", "a10g", 1, 1.0)),
        limits=limits,
    )


def test_one_more_gpu_saves_what_the_next_best_would_cost():
    problem = problem_with(FleetLimits(stock={"h100": 3, "a10g": 50}))
    values = shadow_values(problem, solve(problem), solve)
    (first,) = [v for v in values if v.limit == "stock.h100"]
    assert (first.current, first.units) == (3, 1)
    assert first.saving_usd_per_hour == pytest.approx(4 * 1.0 - 3.0)
    assert first.saving_low == pytest.approx(first.saving_high)
    (slack,) = [v for v in values if v.limit == "stock.a10g"]
    assert slack.saving_usd_per_hour == 0


@given(stock=st.integers(0, 6), rate=st.integers(4, 24), other=st.integers(8, 30))
@settings(max_examples=25, deadline=None)
def test_values_agree_with_solving_by_hand(stock, rate, other):
    """With h100 at 0.75 and a10g at 1 $ per request/s, h100 fill first."""

    def cost(h100):
        options = [
            3.0 * n + max(0, rate - 4 * n) for n in range(h100 + 1) if max(0, rate - 4 * n) <= other
        ]
        return min(options, default=None)

    problem = problem_with(FleetLimits(stock={"h100": stock, "a10g": other}), float(rate))
    base = solve(problem)
    if cost(stock) is None:
        with pytest.raises(ValueError, match="fleet exists"):
            shadow_values(problem, base, solve)
        return
    (value,) = [v for v in shadow_values(problem, base, solve) if v.limit == "stock.h100"]
    assert value.saving_usd_per_hour == pytest.approx(cost(stock) - cost(stock + 1))


def test_a_whole_node_is_priced_where_one_gpu_is_worth_nothing():
    problem = dataclasses.replace(
        problem_with(FleetLimits(stock={"h100": 8, "a10g": 100}), 60.0),
        offers=(NodeOffer("h", "h100", 8, 16.0), NodeOffer("a", "a10g", 1, 1.0)),
    )
    by_units = {
        v.units: v for v in shadow_values(problem, solve(problem), solve) if v.limit == "stock.h100"
    }
    assert by_units[1].saving_usd_per_hour == 0
    assert by_units[8].saving_usd_per_hour == pytest.approx(44 - 32)
    assert by_units[8].per_unit_usd_per_hour == pytest.approx(1.5)


def test_budget_and_size_caps_have_values_too():
    problem = problem_with(FleetLimits(max_gpus=5, max_usd_per_hour=100.0, max_power_kw=9.0))
    limits = {v.limit for v in shadow_values(problem, solve(problem), solve)}
    assert limits == {"max_gpus", "max_cost_usd_per_hour", "max_power_kw"}  # as in a scenario


def test_a_quota_has_a_value():
    cap = Cap("quota of us-east-1", 3.0, {"h": 1.0})
    problem = problem_with(FleetLimits(caps=(cap,)))
    (value,) = shadow_values(problem, solve(problem), solve)
    assert value.limit == "quota of us-east-1"
    assert value.saving_usd_per_hour == pytest.approx(4 * 1.0 - 3.0)


def test_what_the_solver_did_not_prove_widens_the_interval():
    problem = problem_with(FleetLimits(stock={"h100": 3, "a10g": 50}))
    loose = Solution("feasible", 20.0, 18.0, 0.1)
    values = shadow_values(problem, loose, lambda p: Solution("feasible", 17.0, 16.0, 0.06))
    assert values[0].saving_usd_per_hour == 3.0
    assert (values[0].saving_low, values[0].saving_high) == (1.0, 4.0)
