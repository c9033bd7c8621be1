import io
from functools import cache

import openpyxl
import plan_builder as build
import pytest

from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.findings.gather import gather
from planner.findings.latency_curves import distributions, frontier, latency_curves
from planner.findings.sensitivity import sensitivity
from planner.performance.factors import load_calibration
from planner.reporting.plan import spreadsheet
from planner.reporting.plan.evidence_sections import sources

catalog = cache(load_catalog)


@cache
def calibration():
    return load_calibration(catalog())


def test_sensitivity_moves_one_input_at_a_time():
    def solve(scenario):
        if scenario.prices.factors.get("h100-sxm-80gb") == 1.2:
            raise InputError("no offer is left to choose from")
        rate = scenario.services[0].rate
        return build.plan(scenario, nodes=(build.node(count=max(1, int(rate // 16))),))

    base, found = sensitivity(build.plan(), solve)
    assert base.usd_per_hour == 60
    cost = {(w.input, w.change): w.usd_per_hour for w in found}
    assert cost["Request rate", "+100 % (100/s)"] == 120
    assert cost["Request rate", "-50 % (25/s)"] == 20
    assert cost["TTFT target", "-25 % (1.5 s)"] == 60
    assert cost["Price of h100-sxm-80gb", "+20 %"] is None


def test_what_a_provider_promises_stands_in_the_report_with_its_source():
    plan = build.plan(nodes=(build.node(provider="aws"), build.node(provider="lambda")))
    found = gather(plan, catalog(), calibration())
    (aws,) = found.service_levels
    assert aws.monthly_uptime.startswith("99.5 % for an instance")
    (table,) = (b for b in sources(found).blocks if b.key == "service_levels")
    assert table.rows[0][:4] == ("aws", aws.monthly_uptime, aws.as_of, aws.source)
    book = openpyxl.load_workbook(io.BytesIO(spreadsheet.render(found)))
    texts = [c.value for row in book["Sources"].rows for c in row]
    assert f"{aws.monthly_uptime} ({aws.source})" in texts


def test_the_frontier_tightens_until_nothing_is_feasible():
    def solve(scenario):
        bound = scenario.services[0].slo.target("tpot").seconds
        if bound < 0.04:
            return build.infeasible_plan(scenario)
        prediction = build.group().predicted.model_copy(update={"tpot_p99_s": bound * 0.9})
        return build.plan(
            scenario,
            groups=(build.group(predicted=prediction),),
            nodes=(build.node(count=round(0.3 / bound)),),
        )

    points = frontier(build.plan(), solve)
    costs = [p.usd_per_hour for p in points]
    times = [p.tpot_p99_s for p in points]
    assert len(points) >= 3
    assert costs == sorted(costs)
    assert times == sorted(times, reverse=True)
    assert min(times) >= 0.04 * 0.9


def test_latency_rises_with_the_rate_up_to_capacity():
    plan = build.plan(groups=(build.group(kv_cache="fp8", capacity_qps=6.0, routed_qps=25.0),))
    (curve,) = latency_curves(plan, catalog(), calibration())
    assert curve.operating_qps == 5.0
    assert [p.rate_qps for p in curve.points] == sorted(p.rate_qps for p in curve.points)
    tpot = [p.tpot_p99_s for p in curve.points]
    assert tpot == sorted(tpot)
    assert curve.points[-1].rate_qps == pytest.approx(6.0)


@pytest.mark.slow
def test_the_spread_of_latency_is_simulated_as_planned():
    plan = build.plan(groups=(build.group(kv_cache="fp8", capacity_qps=6.0, routed_qps=25.0),))
    ttft, tpot = distributions(plan, catalog(), calibration())
    for spread in (ttft, tpot):
        times = [t for _, t in spread.quantiles_s]
        assert times == sorted(times)
        assert times[0] > 0


def test_names_a_catalog_lost_leave_curves_out():
    plan = build.plan(groups=(build.group(gpu="forgotten"),))
    assert latency_curves(plan, catalog(), calibration()) == ()


def test_other_catalog_data_is_said_so():
    found = gather(build.plan(), catalog(), calibration())
    assert any("other catalog data" in note for note in found.notes)
    same = build.plan(provenance={"catalog_digest": catalog().digest()})
    assert gather(same, catalog(), calibration()).notes == ()


def test_break_even_is_reported_for_every_way_that_has_a_cost():
    found = gather(build.plan(), catalog(), calibration())
    priced = [p for p in found.purchases[1:] if p.usd_per_month is not None]
    servers = sum(p.owned is not None for p in priced)
    assert len(found.break_even) == len(priced) + servers  # nothing sold, and sold then


def test_a_plan_that_does_not_tell_its_cash_is_said_so():
    committed = build.plan(nodes=(build.node(term="3-year"),))
    assert any("its cash" in note for note in gather(committed, catalog(), calibration()).notes)
    assert not any("its cash" in n for n in gather(build.plan(), catalog(), calibration()).notes)
