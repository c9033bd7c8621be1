"""The form's fields for money, time and GPUs of one's own: each changes the text, and the text changes it."""

import importlib.util
from pathlib import Path

import pytest
import yaml
from browser import missing

from planner.catalog.store import load_catalog
from planner.findings.ownership_terms import ITEMS

pytestmark = pytest.mark.slow

AXE = importlib.util.find_spec("axe_playwright_python")
PLAIN = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 60
prompt_tokens: 800
output_tokens: 200
slo: {ttft_p99: 2s, tpot_p99: 60ms}
search: {gpus: [l40s, h100-sxm-80gb], tensor_parallel: [1], weights: [bf16], kv_cache: [bf16]}
"""
TYPED = {
    "Horizon, months": ("24", ("horizon", "months"), 24),
    "Growth a month": ("5 %", ("horizon", "growth_per_month"), 0.05),
    "Stages to order in": ("4", ("horizon", "stages"), 4),
    "Lead time by term, months": ("3-year: 6", ("horizon", "lead_time_months"), {"3-year": 6}),
    "Discount rate a year": ("6.5%", ("ownership", "discount_rate"), 0.065),
    "Egress, GB a month": ("20k", ("extras", "egress", "gb_per_month"), 20_000),
    "Egress, USD/GB": ("0.09", ("extras", "egress", "usd_per_gb"), 0.09),
    "Storage, GB": ("500", ("extras", "storage", "gb"), 500),
    "Storage, USD/GB-month": ("0.02", ("extras", "storage", "usd_per_gb_month"), 0.02),
    "Support, share of cost": ("3 %", ("extras", "support", "share"), 0.03),
    "Support, USD at least": ("100", ("extras", "support", "least_usd_per_month"), 100),
    "Discounts": ("aws: 18 %, azure: 5 %", ("prices", "discounts"), {"aws": 0.18, "azure": 0.05}),
    "Providers at most": ("2", ("prices", "max_vendors"), 2),
    "Overlap, hours": ("48", ("migration", "overlap_hours"), 48),
    "GPUs there are, by type": ("h100-sxm-80gb: 16", ("limits", "stock"), {"h100-sxm-80gb": 16}),
    "Server to buy": ("hgx-h100-8", ("ownership", "server"), "hgx-h100-8"),
    "Price of a server, USD": (
        "290000 (250000 to 330k)",
        ("ownership", "server_price"),
        {"low": 250_000, "mid": 290_000, "high": 330_000},
    ),
    "Life, years": ("6", ("ownership", "life"), 6),
    "Worth at its end": (
        "20 % (10 to 30 %)",
        ("ownership", "residual"),
        {"low": 0.1, "mid": 0.2, "high": 0.3},
    ),
    "Worth after 36 months": ("35 %", ("ownership", "resale"), 0.35),
    "Delivery, months": ("4", ("ownership", "lead_time"), 4),
    "Power, USD/kWh": ("0.14", ("ownership", "tariff"), 0.14),
    "PUE": ("1.3", ("ownership", "pue"), 1.3),
    "Colocation, USD/kW-month": ("120", ("ownership", "colocation"), 120),
    "Network a year, of price": ("1 %", ("ownership", "network"), 0.01),
    "Upkeep a year, of price": ("2 %", ("ownership", "maintenance"), 0.02),
    "Staff a year, USD/server": ("8k", ("ownership", "staff"), 8000),
    "Use of its power range": ("70 %", ("ownership", "utilization"), 0.7),
}


def field(page, label):
    return page.page.get_by_label(label, exact=True)


def scenario_of(page):
    return yaml.safe_load(page.text)


def at(data, path):
    for key in path:
        data = data[key]
    return data


def test_every_field_of_money_is_in_the_text_and_is_answered(form):
    page = form()
    for label, (typed, _, _) in TYPED.items():
        field(page, label).fill(typed)
    field(page, "Need after it").select_option("ends with it")
    page.shows(page.text)
    stated = scenario_of(page)
    assert {label: at(stated, path) for label, (_, path, _) in TYPED.items()} == {
        label: value for label, (_, _, value) in TYPED.items()
    }
    assert stated["horizon"]["need"] == "ends"
    page.answered()
    assert page.page.locator(".problems li").count() == 0
    assert page.sent[-1]["scenario"] == page.text
    page.page.locator("h1").click()  # a field without the focus shows what the text says
    shown = {
        "Growth a month": "5 %",
        "Worth at its end": "20 % (10 to 30 %)",
        "Price of a server, USD": "290000 (250000 to 330000)",
    }
    for label, value in shown.items():
        assert field(page, label).input_value() == value
    for label in TYPED:
        field(page, label).fill("")
    field(page, "Need after it").select_option("not said")
    page.page.wait_for_function(
        "() => !document.querySelector('#yaml').value.includes('ownership')"
    )
    assert scenario_of(page) == yaml.safe_load(PLAIN)


def test_the_text_changes_the_fields_of_money(form):
    page = form()
    text = (
        PLAIN
        + """\
horizon: {months: 24, stages: 4, need: continues, growth_per_month: 0.025}   # two years
existing:
  - {gpu: l40s, nodes: 4, gpus_per_node: 1, usd_per_hour: 0.2}   # in the cellar
  - {gpu: h100-sxm-80gb, nodes: 2}
ownership:
  tariff: {low: 0.06, mid: 0.1, high: 0.3}
"""
    )
    page.page.fill("#yaml", text)
    page.page.get_by_label("Nodes", exact=True).nth(1).wait_for()
    assert field(page, "Growth a month").input_value() == "2.5 %"
    assert field(page, "Power, USD/kWh").input_value() == "0.1 (0.06 to 0.3)"
    assert field(page, "Need after it").input_value() == "continues"
    assert field(page, "Running cost, USD/h a node").first.input_value() == "0.2"
    field(page, "Nodes").nth(0).fill("3")
    field(page, "Horizon, months").fill("36")
    page.shows(text.replace("nodes: 4", "nodes: 3").replace("months: 24", "months: 36"))


def test_nodes_that_run_today_are_added_changed_and_removed(form):
    page = form()
    add = page.page.get_by_role("button", name="Add nodes that run today")
    add.focus()
    page.page.keyboard.press("Enter")
    one = page.page.get_by_role("group", name="Nodes that run today, 1")
    one.get_by_label("GPU", exact=True).fill("l40s")
    one.get_by_label("Nodes", exact=True).fill("4")
    one.get_by_label("GPUs per node", exact=True).fill("1")
    one.get_by_label("Running cost, USD/h a node").fill("0.2")
    page.answered()
    assert scenario_of(page)["existing"] == [
        {"gpu": "l40s", "nodes": 4, "gpus_per_node": 1, "usd_per_hour": 0.2}
    ]
    assert page.decision.startswith("Keep ")
    one.get_by_label("GPU", exact=True).fill("l4000")
    page.page.wait_for_selector("input[aria-invalid=true]")
    assert one.get_by_label("GPU", exact=True).get_attribute("aria-invalid") == "true"
    page.page.get_by_role("button", name="Remove nodes 1, l4000").click()
    page.page.wait_for_function("() => !document.querySelector('#yaml').value.includes('existing')")


@pytest.mark.parametrize(
    ("label", "typed"),
    [
        ("Growth a month", "500 %"),
        ("Horizon, months", "soon"),
        ("Worth after 36 months", "ample"),
        ("Power, USD/kWh", "0.2 (0.3 to 0.1)"),
        ("Discounts", "aws: 120 %"),
        ("Egress, GB a month", "-1"),
        ("Server to buy", "a car"),
    ],
)
def test_a_problem_of_money_is_beside_its_field(form, label, typed):
    page = form(PLAIN + "extras: {egress: {gb_per_month: 1, usd_per_gb: 0.1}}\n")
    field(page, label).fill(typed)
    page.page.wait_for_selector(".problems li")
    assert field(page, label).get_attribute("aria-invalid") == "true"
    described = field(page, label).get_attribute("aria-describedby")
    assert page.page.locator(f"[id='{described}']").inner_text()


def test_empty_fields_of_owning_show_what_the_catalog_counts_with(form):
    page = form()
    rows = {row.item: row for row in load_catalog().ownership()}
    tariff = rows[ITEMS["tariff"]]
    hint = field(page, "Power, USD/kWh").get_attribute("placeholder")
    assert hint == f"{tariff.value:g} ({tariff.low:g} to {tariff.high:g})"
    hint = field(page, "Worth after 36 months").get_attribute("placeholder")
    assert hint == "30 % (25 to 35 %)"


@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_the_fields_of_money_fit_and_axe_finds_no_serious_violation(form, width):
    if AXE is None:
        missing("axe-playwright-python")
    page = form(
        PLAIN + "existing: [{gpu: l40s, nodes: 4}, {gpu: h100-sxm-80gb, nodes: 1}]\n",
        viewport={"width": width, "height": 900},
    )
    field(page, "Nodes").nth(1).wait_for()
    assert page.page.evaluate("() => document.documentElement.scrollWidth") <= width
    source = Path(AXE.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    page.page.evaluate(source + ";0")
    found = page.page.evaluate("async () => (await axe.run('form')).violations")
    assert not [v["id"] for v in found if v["impact"] in ("serious", "critical")]


def test_parts_of_the_form_stay_open_when_the_window_turns(form):
    page = form()
    page.page.set_viewport_size({"width": 800, "height": 900})
    page.page.locator(".folded > summary").click()
    page.page.set_viewport_size({"width": 1280, "height": 900})
    field(page, "Horizon, months").wait_for()
    assert field(page, "PUE").is_visible()
