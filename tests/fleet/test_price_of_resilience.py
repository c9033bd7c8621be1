import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from planner import api
from planner.fleet.alternatives.frontier import levels_of, resilience_steps
from planner.fleet.alternatives.narrower_choices import unprotected
from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind, Resilience
from planner.fleet.program.program import solve
from planner.scenario.schema import Scenario


def fleet(rate, zones=("a", "b")):
    return Problem(
        demands=(Demand("chat", "chat", (rate,)),),
        kinds=(ReplicaKind("k", "h100", 2, {"chat": 3.0}),),
        offers=tuple(NodeOffer(f"o-{z}", "h100", 8, 20.0 + i, zone=z) for i, z in enumerate(zones)),
    )


def steps_of(problem, levels):
    def cheapest_surviving(resilience):
        solution = solve(dataclasses.replace(problem, resilience=resilience))
        return solution.objective_usd_per_hour, solution

    return {s.name: s for s in resilience_steps(levels, cheapest_surviving)}


@given(rate=st.integers(1, 60))
@settings(max_examples=15, deadline=None)
def test_the_price_of_resilience_is_never_negative_and_grows_with_what_may_fail(rate):
    levels = {**levels_of(zones=True, spot=False), "two nodes": Resilience(nodes=2)}
    steps = steps_of(fleet(float(rate)), levels)
    assert steps["nothing"].price_usd_per_hour == 0
    assert 0 <= steps["one replica"].price_usd_per_hour <= steps["one node"].price_usd_per_hour
    assert steps["one node"].price_usd_per_hour <= steps["two nodes"].price_usd_per_hour
    assert steps["one zone"].price_usd_per_hour >= 0


def test_one_lost_node_costs_one_node_when_nodes_are_full():
    steps = steps_of(fleet(24.0, zones=("a",)), levels_of(zones=False, spot=False))
    assert steps["nothing"].usd_per_hour == 40.0
    assert steps["one node"].price_usd_per_hour == 20.0
    assert "one zone" not in steps


def test_what_no_fleet_survives_has_no_price():
    steps = steps_of(fleet(24.0, zones=("a",)), levels_of(zones=True, spot=True))
    assert steps["one zone"].usd_per_hour is None
    assert steps["one zone"].price_usd_per_hour is None
    assert steps["one zone"].fleet.status == "infeasible"


def test_the_unprotected_rival_is_the_fleet_that_survives_nothing():
    problem = fleet(24.0, zones=("a",))
    assert unprotected(problem, solve) is None
    hardy = dataclasses.replace(problem, resilience=Resilience(nodes=1))
    bare = unprotected(hardy, solve)
    assert bare.problem.resilience == Resilience()
    assert bare.solution.objective_usd_per_hour == 40.0
    assert solve(hardy).objective_usd_per_hour == 60.0


def test_a_plan_that_survives_a_loss_tells_what_that_costs():
    scenario = Scenario.model_validate(
        {
            "model": "meta-llama/Llama-3.1-8B-Instruct",
            "rate": 60,
            "prompt_tokens": 700,
            "output_tokens": 200,
            "slo": {"ttft_p99": "2s", "tpot_p99": "80ms"},
            "search": {"gpus": ("l40s",), "tensor_parallel": (1,), "weights": ("bf16",)},
            "failures": {"replicas": 1},
        }
    )
    plan = api.solve(scenario, verify="none")
    (bare,) = [a for a in plan.alternatives if a.reason.startswith("survives no failure")]
    price = plan.totals.usd_per_hour - bare.usd_per_hour
    assert price > 0
    assert f"${price:,.2f}/h" in bare.reason
