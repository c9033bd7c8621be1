"""The decision in plain sentences, and in at most 24 lines."""

from plan_builder import plan as built

from planner.evidence import Evidence
from planner.plan.decision import AsPredicted, Cheapest, GroupMargin, LossOfOne
from planner.plan.provenance import VerificationRound
from planner.reporting.plan.brief import MOST_LINES, brief
from planner.reporting.plan.decision_text import (
    as_predicted_line,
    called,
    cheapest_line,
    decision_lines,
    margin_line,
)

MARGIN = GroupMargin(probability=0.8, slowdown=1.19, behind="modelled", passed=False)


def test_a_margin_is_a_probability_only_where_its_quantiles_passed():
    assert called(MARGIN) == "margin assumed"
    assert called(MARGIN.model_copy(update={"passed": True})) == "a probability of 80 %"


def test_a_group_says_how_much_slower_it_may_be_and_on_what_traffic():
    group = built().services[0].replica_groups[0]
    text = margin_line(group.model_copy(update={"margin": MARGIN, "evidence": Evidence.MODELLED}))
    assert "19 % slower than predicted, margin assumed (evidence: modelled)" in text
    assert text.endswith("for the traffic as stated.")
    assert "none, sized for the prediction itself" in margin_line(group)


def test_a_margin_that_the_simulator_denies_is_the_closed_form_s():
    plan = built()
    (service,) = plan.services
    group = service.replica_groups[0].model_copy(update={"margin": MARGIN})
    service = service.model_copy(update={"replica_groups": (group,)})
    round_ = VerificationRound(
        round=1,
        deployment="d",
        closed_form_qps=1.0,
        simulated_qps=0.0,
        holds=False,
        note="misses ttft_p99",
    )
    missed = plan.verification.model_copy(update={"rounds": (round_,)})
    plan = plan.model_copy(update={"services": (service,), "verification": missed})
    (line,) = (text for text in decision_lines(plan) if text.startswith("Margin"))
    assert line.startswith("Margin: by the closed form alone, every target holds with steps ")


def test_the_point_estimate_is_beside_the_plan():
    plan = built()
    rented = plan.totals.gpus_rented
    cost = plan.totals.usd_per_hour
    base = AsPredicted(
        gpus=rented - 3,
        usd_per_hour=0.9 * cost,
        settled_by="m on g with vllm 1",
        cheapest_label="4x (1x b200)",
        cheapest_gpus=4,
        cheapest_usd_per_hour=0.9 * cost,
    )
    text = as_predicted_line(plan.model_copy(update={"as_predicted": base}))
    assert text.startswith(f"3 of {rented} GPUs cover prediction error")
    one = base.model_copy(update={"gpus": rented - 1})
    text_of_one = as_predicted_line(plan.model_copy(update={"as_predicted": one}))
    assert text_of_one.startswith(f"1 of {rented} GPUs covers prediction error")
    assert text.endswith("one benchmark of m on g with vllm 1 would decide it.")
    assert "would be" not in text
    other = base.model_copy(update={"gpus": rented, "cheapest_usd_per_hour": 0.8 * cost})
    text = as_predicted_line(plan.model_copy(update={"as_predicted": other}))
    assert text.startswith("The margin costs $")
    assert "without a margin the plan would be 4x (1x b200), 4 GPUs" in text
    same = other.model_copy(update={"usd_per_hour": cost, "cheapest_usd_per_hour": cost})
    text = as_predicted_line(plan.model_copy(update={"as_predicted": same}))
    assert text.startswith("The margin takes no more GPUs of this kind (as predicted: ")
    assert "decide" not in text


def test_the_cheapest_of_all_offers_comes_with_its_doubts():
    other = Cheapest(
        label="30x (1x rtx-5090 vllm TP1 fp8/fp8)",
        gpus=30,
        usd_per_hour=10.0,
        status="optimal",
        offers=("30 x RTX 5090 at salad (any)",),
        doubts=("marketplace tier, price confidence low; quote needed",),
    )
    text = cheapest_line(built().model_copy(update={"cheapest": other}))
    assert "30 x RTX 5090 at salad (any): marketplace tier, price confidence low" in text


def test_what_is_not_served_and_what_the_simulator_denies_come_first():
    plan = built()
    services = tuple(s.model_copy(update={"served_qps": 0.5 * s.rate_qps}) for s in plan.services)
    note = "no fleet was confirmed in the simulator"
    round_ = VerificationRound(
        round=1, deployment="d", closed_form_qps=1.0, simulated_qps=0.0, holds=False, note="misses"
    )
    denied = plan.verification.model_copy(update={"rounds": (round_,), "note": note})
    plan = plan.model_copy(update={"services": services, "verification": denied})
    said = [line for line in brief(plan, 200) if not line.startswith(" ")]
    assert said[1] == "Only 25 req/s of 50 req/s are served."
    assert said[2] == f"Simulation: {note}."
    assert sum("Simulation" in line for line in said) == 1


def test_the_brief_fits_24_lines_whatever_there_is_to_say():
    loss = LossOfOne(service="chat", replica="r", load=1.2, outcome="overloaded")
    plan = built().model_copy(
        update={
            "losses": (loss,) * 4,
            "warnings": tuple("word " * n for n in range(10, 60)),
        }
    )
    for width in (60, 80, 160):
        lines = brief(plan, width)
        assert len(lines) <= MOST_LINES
        assert max(map(len, lines)) <= width
    assert "whole report" in brief(plan, 80)[-1]
