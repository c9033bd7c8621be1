import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.fleet.alternatives.frontier import FrontierSolution, trace_frontier, undominated

OPTIONS = st.lists(
    st.tuples(st.integers(1, 50).map(float), st.integers(10, 400).map(float)),
    min_size=1,
    max_size=12,
)


def pareto(options):
    """(latency, cost) pairs that no other pair beats."""
    return {
        (latency, cost)
        for latency, cost in options
        if not any((a <= latency and b <= cost) and (a < latency or b < cost) for a, b in options)
    }


@given(options=OPTIONS)
def test_the_frontier_of_a_finite_set_is_its_pareto_set(options):
    def cheapest_under(bound):
        allowed = [(cost, latency) for latency, cost in options if latency <= bound]
        return (*min(allowed), None) if allowed else None

    points = trace_frontier(cheapest_under, loosest=50, tightest=1, step_share=0.001)
    assert {(p.achieved, p.usd_per_hour) for p in points} == pareto(options)


def test_the_end_of_the_range_is_tried_where_the_step_leads_past_it():
    """308 ms less a quarter is 231 ms, below the range's end of 250 ms."""
    fleets = ((0.308, 4.58), (0.24, 5.49), (0.19, 6.0))
    asked = []

    def cheapest_under(bound):
        asked.append(bound)
        return next((cost, latency, None) for latency, cost in fleets if latency <= bound)

    points = trace_frontier(cheapest_under, loosest=4.0, tightest=0.25, step_share=0.25)
    assert asked == [4.0, 0.25]
    assert [(p.achieved, p.usd_per_hour) for p in points] == [(0.308, 4.58), (0.24, 5.49)]


def test_a_fleet_above_its_bound_is_refused():
    with pytest.raises(ValueError, match="above its bound"):
        trace_frontier(
            lambda bound: (1.0, bound * 2, None), loosest=1, tightest=0.1, step_share=0.1
        )


def test_an_impossible_bound_gives_no_point():
    assert trace_frontier(lambda bound: None, loosest=1, tightest=0.1, step_share=0.1) == ()


@given(options=OPTIONS)
def test_undominated_keeps_the_pareto_set_in_order_of_cost(options):
    points = [FrontierSolution(latency, latency, cost, None) for latency, cost in options]
    kept = undominated(points)
    assert {(p.achieved, p.usd_per_hour) for p in kept} == pareto(options)
    assert [p.usd_per_hour for p in kept] == sorted(p.usd_per_hour for p in kept)
