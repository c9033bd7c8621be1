import plan_builder
import pytest

from planner.comparison.options import compare
from planner.errors import InputError
from planner.reporting.studies.comparison_document import verdict


def solve(scenario):
    """TP4 needs three nodes, TP2 four, TP8 nothing that fits."""
    (degree,) = scenario.services[0].search.tensor_parallel
    if degree == 8:
        return plan_builder.infeasible_plan(scenario)
    if degree == 1:
        raise InputError("no offer is left to choose from")
    count = {2: 4, 4: 3}[degree]
    return plan_builder.plan(scenario, nodes=(plan_builder.node(count=count),))


def test_each_option_is_solved_under_its_own_restriction():
    seen = []
    comparison = compare(
        plan_builder.scenario(),
        {"tensor_parallel": ("2", "4", "8", "1")},
        solve,
        lambda done, total, label: seen.append((done, total, label)),
    )
    assert [o.label for o in comparison.options] == [
        f"tensor_parallel {n}" for n in ("2", "4", "8", "1")
    ]
    assert [o.totals is not None for o in comparison.options] == [True, True, False, False]
    assert comparison.options[2].why_not.startswith("no deployment holds")
    assert comparison.options[3].why_not == "no offer is left to choose from"
    assert comparison.winner is comparison.options[1]
    assert comparison.runner_up is comparison.options[0]
    assert seen[1] == (1, 4, "tensor_parallel=4")


def test_without_a_feasible_option_nobody_wins():
    comparison = compare(plan_builder.scenario(), {"tensor_parallel": ("8",)}, solve)
    assert comparison.winner is None


def test_ties_go_to_fewer_gpus_then_lower_tpot():
    def same_price(scenario):
        (weights,) = scenario.services[0].search.weights
        nodes = {
            "fp8": plan_builder.node(count=3, usd_per_hour_each=20.0),
            "bf16": plan_builder.node(count=6, usd_per_hour_each=10.0),
        }
        return plan_builder.plan(scenario, nodes=(nodes[weights],))

    comparison = compare(plan_builder.scenario(), {"weights": ("bf16", "fp8")}, same_price)
    assert comparison.winner.choice == {"weights": "fp8"}


def test_when_no_option_can_even_be_requested_the_first_reason_is_raised():
    with pytest.raises(InputError, match="no offer is left"):
        compare(plan_builder.scenario(), {"tensor_parallel": ("1",)}, solve)


def test_what_serves_less_does_not_win_for_costing_less():
    def short(scenario):
        (gpu,) = scenario.services[0].search.gpus
        fleet = plan_builder.plan(scenario, nodes=(plan_builder.node(count=1 + (gpu == "h100")),))
        (service,) = fleet.services
        served = service.rate_qps if gpu == "h100" else service.rate_qps / 2
        return fleet.model_copy(
            update={"services": (service.model_copy(update={"served_qps": served}),)}
        )

    gpus = {"gpu": ("h100", "l4")}
    compared = compare(plan_builder.scenario(serve="by-priority"), gpus, short)
    assert [o.choice["gpu"] for o in compared.ranked] == ["h100", "l4"]
    best, second = compared.ranked
    assert best.served_qps == 2 * second.served_qps
    assert "wins: it serves 50 req/s at" in verdict(compared)
    everything = compare(plan_builder.scenario(), gpus, short)
    assert everything.winner.choice == {"gpu": "l4"}
    assert everything.winner.served_qps is None
