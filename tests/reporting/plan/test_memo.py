"""The one-page memo, and the tables of prices beside the plan's own."""

import re
from dataclasses import replace

import plan_builder as build
import pytest
from browser import CHROMIUM, REQUIRED, chromium
from findings_builder import findings_for

from planner.catalog.offer import Offer, Term
from planner.findings.schema import Energy, PriceRung, Regret, Swing
from planner.plan.money import Cash
from planner.plan.replica_group import Prediction
from planner.reporting.charts.cash import tornado
from planner.reporting.formats import html, markdown
from planner.reporting.plan.memo import memo
from planner.reporting.plan.plan_document import plan_document

QUOTE = Offer("acme", "any", "q6", "h100-sxm-80gb", 8, Term("6-month"), 14.4, "2026-11-01", "mail",
              upfront_share=0.25, valid_until="2026-10-31", min_nodes=2, max_nodes=6)  # fmt: skip


@pytest.fixture
def crowded(findings):
    """As much as a memo may have to hold: every way, long warnings, long contracts, regret and swings."""
    question = build.scenario(
        extras={"egress": {"gb_per_month": 500, "usd_per_gb": 0.09}, "support": {"share": 0.03}}
    )
    plan = build.plan(question, warnings=tuple(f"{i}: {'a long warning ' * 30}" for i in range(12)))
    found = findings_for(plan)
    held = [r.holding for p in found.purchases if p.planned for r in p.rentals]
    plan = plan.model_copy(update={"cash": Cash.of(held, 36, ends=False)})
    ways = [replace(p, what="a long name of what is rented there " * 9) for p in found.purchases]
    return replace(
        found,
        plan=plan,
        purchases=tuple(replace(w, way=f"{w.way} {i}") for i in range(4) for w in ways),
        regrets=(Regret(0.5, 90e3, 40e3), Regret(2.0, 120e3, 118e3)),
        swings=(
            Swing("Demand", "the plan", "-20 %", "+20 %", 30e3, 50e3),
            Swing("Price", "the plan", "-5 %", "+80 %", 40e3, None),
            Swing("Tariff", "owned", "0.06 USD/kWh", "0.3 USD/kWh", 20e3, 26e3),
        ),
        ladder=(PriceRung("cloud", 2.0, 35_040.0, "3 x h100x8 (acme any)", "2026-10-10"),),
        quotes=(QUOTE,),
        energy=Energy(1000.0, 475.0, 0.01, 0.005, 1.5, 475.0, "h100: whole server"),
    )


def test_a_memo_has_what_a_signature_needs(crowded):
    document = memo(crowded)
    assert [s.key for s in document.sections] == [
        "decision", "alternatives", "exposure", "risks", "signatures",
    ]  # fmt: skip
    text = markdown.render(document)
    assert "Demand -50 %: $50,000 more than the best in hindsight." in text
    assert "Price -5 % to +80 %, the fleet chosen again: $40,000 to no fleet per month." in text
    assert "excludes taxes" in text
    assert "Procurement" in text


@pytest.mark.slow
@pytest.mark.skipif(
    CHROMIUM is None and not REQUIRED, reason="needs Chromium (apt install chromium)"
)
@pytest.mark.parametrize("which", ["crowded", "findings", "hostile"])
def test_a_memo_prints_on_one_sheet(which, request, tmp_path):
    path = tmp_path / "memo.html"
    path.write_text(html.render(memo(request.getfixturevalue(which))), encoding="utf-8")
    chromium(path, tmp_path, f"--print-to-pdf={tmp_path}/memo.pdf", "--no-pdf-header-footer")
    pages = re.findall(rb"/Type\s*/Page[^s]", (tmp_path / "memo.pdf").read_bytes())
    assert len(pages) == 1


def test_a_plan_without_a_fleet_has_a_memo_too():
    plan = build.infeasible_plan()
    text = markdown.render(memo(replace(findings_for(build.plan()), plan=plan, purchases=())))
    assert "no deployment holds" in text


def table(findings, key):
    found = plan_document(findings).tables()[key]
    keys = [c.key for c in found.columns]
    return [dict(zip(keys, (c.value for c in row), strict=True)) for row in found.cells()]


def test_a_quote_is_shown_with_its_term_its_prepayment_and_its_end(crowded):
    (row,) = table(crowded, "quotes")
    assert row["usd_per_gpu_hour"] == pytest.approx(1.8)
    assert row["usd_per_month"] == pytest.approx(14.4 * 730)
    assert row["months"] == 6
    assert row["signed_usd"] == pytest.approx(14.4 * 730 * 6)
    assert row["due_usd"] == pytest.approx(14.4 * 730 * 6 / 4)
    assert row["nodes"] == "2 to 6"
    assert row["valid_until"] == "2026-10-31 (ended)"
    assert row["taken"] == 0


def test_what_comes_on_top_is_added_beside_the_plan(crowded):
    rows = {r["what"]: r["usd_per_month"] for r in table(crowded, "extras")}
    gpus = 60 * 730
    assert rows == pytest.approx(
        {
            "GPUs, as planned": gpus,
            "Egress": 45,
            "Support": 0.03 * gpus,
            "Together": 1.03 * gpus + 45,
        }
    )
    assert crowded.plan.totals.usd_per_month == gpus


def test_the_ladder_is_against_the_plan(crowded):
    (row,) = table(crowded, "price_ladder")
    assert row["relative"] == pytest.approx(35_040 / (60 * 730) - 1)


def test_the_tornado_has_both_ends_and_its_charts(crowded):
    rows = table(crowded, "tornado")
    assert [r["input"] for r in rows] == ["Demand", "Price", "Tariff"]
    page = html.render(plan_document(crowded))
    assert "What moves the cost of the plan" in page
    assert "Cash by month" in page
    assert "Energy and carbon" in page


def test_a_page_on_gpus_that_cost_nothing_has_no_tornado_to_draw(crowded):
    free = Swing("Demand", "the plan", "-20 %", "+20 %", 0.0, 0.0)
    assert tornado([free], 0.0, "the plan") is None
    usd = crowded.baseline.usd_per_hour * 730
    still = replace(free, low_usd_per_month=usd, high_usd_per_month=usd)
    page = html.render(plan_document(replace(crowded, swings=(still,))))
    assert "What moves the cost of the plan" not in page


def test_a_target_without_a_percentile_is_missed():
    """Of requests that a full queue sends away no latency is known."""
    plan = build.plan()
    (service,) = plan.services
    unknown = Prediction(method="simulated", interval_level=0.8)
    group = service.replica_groups[0].model_copy(update={"predicted": unknown})
    service = service.model_copy(update={"replica_groups": (group,)})
    rows = table(findings_for(plan.model_copy(update={"services": (service,)})), "latency")
    assert [(r["target_s"], r["predicted_s"], r["met"]) for r in rows] == [
        (target, None, "no") for target in service.targets.values()
    ]
