"""The interval around a plan's latencies is the fleet with its steps at both ends, queue included."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.catalog.store import load_catalog
from planner.findings.schema import Findings
from planner.fleet.candidates.assurance import uncertainty
from planner.fleet.candidates.derating import at_score, ends
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.robustness import chance_to_hold
from planner.fleet.offers.admitted import admitted_offers
from planner.performance.factors import load_calibration
from planner.performance.slowed import SlowedSteps
from planner.plan.rebuild import placed
from planner.plan.schema import Plan
from planner.reporting import rounding
from planner.reporting.plan.plan_document import plan_document
from planner.scenario.schema import Scenario
from planner.serving.simulation.service_simulation import check_service
from planner.session import Session
from planner.solving.latency_ends import still_growing
from planner.solving.options import SolveOptions
from planner.workload.lengths import lengths_of

QUESTION = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 60,
    "prompt_tokens": 900,
    "output_tokens": 250,
    "slo": {"ttft_p99": "2s", "tpot_p99": "60ms"},
    "search": {"gpus": ("h100-sxm-80gb",), "tensor_parallel": (1,), "weights": ("bf16",)},
}
CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)
SCORE = 1.2815515655446004  # of 90 %


def solved(verify="none", **changes):
    session = Session.open(options=SolveOptions(verify=verify, rivals=0))
    plan = session.solve(Scenario.model_validate({**QUESTION, **changes}))
    (group,) = plan.services[0].replica_groups
    return plan, group


def rebuilt(plan, group):
    service = plan.scenario.services[0]
    return service, placed(service, group, CATALOG, CALIBRATION)


def at(service, replica, factor):
    slow = replica.with_steps(lambda steps: SlowedSteps(steps, factor))
    return slow.point(
        lengths_of(service),
        service.slo,
        replica.rate_qps / replica.replicas,
        service.prompts_cv,
        service.assumptions.prefix_hit_share,
    ).latency_s


def test_ends_are_the_replicas_with_their_steps_at_both_ends():
    plan, group = solved()
    service, replica = rebuilt(plan, group)
    predicted = group.predicted
    for side in (0, 1):
        found = at(service, replica, predicted.step_factors[side])
        beyond = predicted.ttft_factors[side]
        assert predicted.intervals["tpot_p99_s"][side] == pytest.approx(found["tpot_p99"])
        assert predicted.intervals["ttft_p99_s"][side] == pytest.approx(beyond * found["ttft_p99"])
        late = found["e2e_p99"] + (beyond - 1) * found["ttft_p50"]
        assert predicted.intervals["e2e_p99_s"][side] == pytest.approx(late)


def test_the_slow_end_is_what_sizing_allows_for():
    """The steps at the upper end of an 80 % interval are those that a plan assured at 90 % is sized with."""
    plan, group = solved()
    _, replica = rebuilt(plan, group)
    quick, slow = ends(replica.steps, 0.8)
    assert slow.steps == pytest.approx(at_score(replica.steps, SCORE).steps)
    assert group.predicted.step_factors == pytest.approx((quick.steps, slow.steps))
    assert quick.steps == pytest.approx(replica.steps.interval(1.0, "tpot", 0.8).low)
    ttft = replica.steps.interval(1.0, "ttft", 0.8)
    assert quick.steps * quick.ttft == pytest.approx(ttft.low)
    assert slow.steps * slow.ttft >= ttft.high * (1 - 1e-9)


@pytest.mark.parametrize(("assurance", "within"), [(0.9, True), (0.95, True), ("none", False)])
def test_a_plan_assured_at_90_percent_meets_its_targets_at_the_upper_end(assurance, within):
    """And one sized for the prediction itself does not, where a target limits it."""
    plan, group = solved(assurance=assurance, rate=200)
    high = group.predicted.intervals["tpot_p99_s"][1]
    assert (high is not None and high <= plan.services[0].targets["tpot_p99"]) is within


@pytest.mark.parametrize("assurance", [0.6, 0.8, 0.95])
def test_the_upper_end_and_the_chance_to_hold_agree(assurance):
    """A target lies above the 80 % interval where the fleet holds it with 90 % or more, and only there."""
    plan, group = solved(assurance=assurance, rate=200)
    service = plan.scenario.services[0]
    offers = admitted_offers(plan.scenario.prices, CATALOG)
    sized = enumerate_candidates(service, CATALOG, offers, CALIBRATION).candidates
    own = next(c for c in sized if c.key == group.key(service.name))
    fleet = [(uncertainty(own, service), group.replicas)]
    chance = chance_to_hold(fleet, service.rate)
    assert chance >= assurance - 0.02
    target, high = service.slo.target("tpot").seconds, group.predicted.intervals["tpot_p99_s"][1]
    assert (high is not None and high <= target) is (chance >= 0.9)


def test_near_saturation_the_upper_end_rises_more_than_the_steps():
    _, group = solved(assurance="none", rate=200)
    predicted = group.predicted
    low, high = predicted.intervals["tpot_p99_s"]
    assert low < predicted.step_factors[0] * predicted.tpot_p99_s
    assert high is None or high > 1.3 * predicted.step_factors[1] * predicted.tpot_p99_s


def test_simulated_latencies_are_simulated_at_both_ends():
    plan, group = solved("simulate")
    service, replica = rebuilt(plan, group)
    predicted = group.predicted
    assert predicted.method == "simulated"
    for side in (0, 1):
        factor = predicted.step_factors[side]
        slow = replica.with_steps(lambda steps, f=factor: SlowedSteps(steps, f))
        check = check_service(service, [slow], seed=plan.provenance.seed)
        found = check.percentiles["tpot_p99"].value_s
        assert predicted.intervals["tpot_p99_s"][side] == pytest.approx(found)


@pytest.mark.parametrize(("share", "growing"), [(0.5, False), (0.9, False), (1.05, True)])
def test_a_queue_that_grew_all_along_is_told_from_a_long_one(share, growing):
    """A twentieth too much is no overload yet in the window; how late it is says how long the window was."""
    service, replica = rebuilt(*solved())
    most = replica.ceiling_qps(lengths_of(service), service.assumptions.prefix_hit_share)
    loaded = replace(replica, replicas=1, rate_qps=share * most)
    check = check_service(service, [loaded])
    assert not check.overloaded
    assert still_growing(check) is growing


@pytest.mark.parametrize("verify", ["none", "simulate"])
def test_a_load_that_does_not_fit_at_the_slow_end_has_no_upper_end(verify):
    """Throughput limits this one: no latency target to leave room for."""
    plan, group = solved(
        verify, assurance="none", slo={"e2e_p99": "10min"}, rate=120, output_tokens=400
    )
    predicted = group.predicted
    assert not predicted.keeps_up_if_slow
    assert {high for _, high in predicted.intervals.values()} == {None}
    low, _ = predicted.intervals["e2e_p99_s"]
    assert low <= predicted.e2e_p99_s
    assert Plan.model_validate_json(plan.to_json()) == plan
    table = plan_document(Findings(plan)).tables()["latency"]
    shown = [cell.text() for row in table.shown().cells() for cell in row]
    assert f"more than {rounding.seconds(low)}" in shown
    assert "would not keep up" in table.note


def test_every_percentile_of_a_plan_has_an_interval_around_it():
    _, group = solved("simulate", slo={"ttft_p99": "2s", "itl_p95": "80ms", "e2e_p90": "20s"})
    predicted = group.predicted
    known = {f"{key}_s" for key, value in predicted.by_key_s.items() if value}
    assert known == set(predicted.intervals) >= {"itl_p95_s", "e2e_p90_s", "e2e_p99_s"}
    for key, (low, high) in predicted.intervals.items():
        assert low <= predicted.by_key_s[key.removesuffix("_s")] <= high


def test_who_asks_for_costs_alone_has_no_intervals():
    scenario = Scenario.model_validate(QUESTION)
    options = SolveOptions(verify="none", rivals=0)
    without = Session.open(options=replace(options, ranges=False)).solve(scenario)
    (group,) = without.services[0].replica_groups
    assert not group.predicted.intervals
    assert group.predicted.step_factors is None
    assert group.predicted.tpot_p99_s == solved()[1].predicted.tpot_p99_s
