"""Each input of the workbook changed by itself, recalculated by LibreOffice, and compared.

What is expected is worked out here from definitions alone: cash month by month in plain loops.
"""

import os
from dataclasses import replace

import pytest
from workbook_reader import SOFFICE, as_workbook, named, priced, recalculated, sums_with

from planner.findings.break_even import PaymentOption, break_even_months
from planner.findings.resale import sold_at_horizon_usd
from planner.findings.ways_to_pay import rentals_of
from planner.plan.money import Cash

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        SOFFICE is None and os.environ.get("PLANNER_REQUIRE_OFFICE") != "1",
        reason="needs LibreOffice (apt install libreoffice-calc)",
    ),
]
BASE = {
    "Hours_per_month": 730, "Hours_per_year": 8760, "Horizon_months": 24, "Need_ends": 0, "Rate": 50,
    "Growth_per_month": 0, "Input_tokens": 1000, "Output_tokens": 500, "Discount_rate": 0.08,
    "API_input_price": 0.23, "API_output_price": 0.4, "Servers": 2, "Server_price": 300_000,
    "Life_months": 60, "Residual_share": 0.15, "Resale_share_36_months": 0.3, "Max_power_kW": 10,
    "Idle_power_kW": 2, "Utilization": 0.7, "PUE": 1.5, "Tariff": 0.1, "Colocation": 150,
    "Network_share": 0.017, "Maintenance_share": 0.015, "Staff_per_server": 5000,
    "Lead_time_months": 3,
}  # fmt: skip
MOVED = {
    "Hours_per_year": 8766, "Horizon_months": 30, "Need_ends": 1, "Rate": 70,
    "Growth_per_month": 0.03, "Input_tokens": 800, "Output_tokens": 650, "Discount_rate": 0.12,
    "API_input_price": 0.5, "API_output_price": 0.9, "Servers": 3, "Server_price": 270_000,
    "Life_months": 48, "Residual_share": 0.05, "Resale_share_36_months": 0.4, "Max_power_kW": 12,
    "Idle_power_kW": 3, "Utilization": 0.4, "PUE": 1.2, "Tariff": 0.22, "Colocation": 190,
    "Network_share": 0.03, "Maintenance_share": 0.04, "Staff_per_server": 9000,
    "Lead_time_months": 6,
}  # fmt: skip


def value(i, age):
    """Share of its price that a server of that age is worth."""
    life, late = i["Life_months"], i["Resale_share_36_months"]
    if age >= life:
        return i["Residual_share"]
    if age <= 36 < life:
        return late ** (age / 36)
    return late * (i["Residual_share"] / late) ** ((age - 36) / (life - 36))


def owned_by_hand(i):
    """Cash by month and what is left, for servers bought at signature; 21 USD/h x 2 until they come."""
    months, lead = i["Horizon_months"], i["Lead_time_months"]
    kw = i["Idle_power_kW"] + i["Utilization"] * (i["Max_power_kW"] - i["Idle_power_kW"])
    running = (
        kw * i["PUE"] * i["Hours_per_year"] * i["Tariff"] / 12
        + i["Max_power_kW"] * i["Colocation"]
        + i["Server_price"] * (i["Network_share"] + i["Maintenance_share"]) / 12
        + i["Staff_per_server"] / 12
    )
    flow = [0.0] * (months + 1)
    flow[0] = i["Servers"] * i["Server_price"]
    for month in range(1, months + 1):
        flow[month] = 2 * 21 * 730 if month <= lead else i["Servers"] * running
    worth = flow[0] * value(i, months - lead)
    if i["Need_ends"]:
        flow[months] -= worth
        return flow, 0.0
    return flow, worth


def api_by_hand(i):
    months, growth = i["Horizon_months"], i["Growth_per_month"]
    first = i["Rate"]
    if growth:
        first *= growth * months / ((1 + growth) ** months - 1)
    each = i["Input_tokens"] * i["API_input_price"] + i["Output_tokens"] * i["API_output_price"]
    return [0.0] + [
        first * (1 + growth) ** m * 3600 * i["Hours_per_month"] * each / 1e6 for m in range(months)
    ]


def worth_today(flow, left, i):
    rate, months = i["Discount_rate"], i["Horizon_months"]
    paid = sum(usd / (1 + rate) ** (m / 12) for m, usd in enumerate(flow))
    return paid - left / (1 + rate) ** (months / 12)


def test_each_input_moves_what_follows_from_it(tmp_path):
    findings = priced()
    book = as_workbook(findings)
    stated = {n: book["Assumptions"][named(book, n).coordinate].value for n in BASE}
    assert stated == pytest.approx(BASE)
    moved = {name: {name: value} for name, value in MOVED.items()}
    sheets = sums_with(findings, {"unchanged": {"Rate": BASE["Rate"]}, **moved}, tmp_path)
    assert len(sheets) == 1 + len(MOVED)
    for name, found in sheets.items():
        inputs = BASE if name == "unchanged" else {**BASE, name: MOVED[name]}
        flow, left = owned_by_hand(inputs)
        assert found["Cost of the horizon"][2] == pytest.approx(sum(flow) - left), name
        assert found["Left at the horizon"][2] == pytest.approx(left), name
        assert found["Present value"][2] == pytest.approx(worth_today(flow, left, inputs)), name
        api = api_by_hand(inputs)
        assert found["Cost of the horizon"][3] == pytest.approx(sum(api)), name
        assert found["Present value"][3] == pytest.approx(worth_today(api, 0.0, inputs)), name
        # Two nodes at 10 USD/h from month 7, under a term of 36 months that is paid to 60 % upfront.
        month, months = 2 * 10 * 730, inputs["Horizon_months"]
        held = 36 if inputs["Need_ends"] else months - 6
        assert found["Cost of the horizon"][0] == pytest.approx(month * held), name


def exposed(**horizon):
    """Findings whose plan states its cash, and servers with their break-even."""
    findings = priced(**horizon)
    months, ends = findings.plan.scenario.horizon.months, findings.plan.scenario.horizon.ends
    cash = Cash.of((r.holding for r in rentals_of(findings.plan)), months, ends=ends)
    plan = findings.plan.model_copy(update={"cash": cash})
    return replace(findings, plan=plan)


@pytest.mark.parametrize("horizon", [{}, {"need": "ends"}])
def test_exposure_and_break_even_are_recalculated(tmp_path, horizon):
    findings = exposed(**horizon)
    cash = findings.plan.cash
    book = as_workbook(findings)
    fresh = recalculated(book, tmp_path)
    rows = list(
        fresh["Exposure"].iter_rows(min_row=6, max_row=5 + len(cash.by_month), values_only=True)
    )
    assert [r[3] for r in rows] == pytest.approx(list(cash.exit_owed_usd))
    assert [r[4] for r in rows] == pytest.approx(list(cash.exit_unused_usd))
    assert [r[2] for r in rows] == pytest.approx([cash.until(m) for m in range(len(rows))])
    assert named(fresh, "Signed_for").value == pytest.approx(cash.committed_usd)
    assert str(fresh["Summary"]["A1"].value).endswith(
        f"{named(fresh, 'Cost_per_month').value:,.0f} USD per month"
    )


def test_the_headline_follows_the_order(tmp_path):
    book = as_workbook(priced())
    book["Summary"]["G6"], book["Summary"]["H6"] = 5, 20.0
    fresh = recalculated(book, tmp_path)
    cost = 5 * 20 * 730 * 18 / 24  # held 18 of 24 months
    assert fresh["Summary"]["A1"].value.startswith("5 x h100x8 at acme")
    assert fresh["Summary"]["A1"].value.endswith(f": {cost:,.0f} USD per month")


def with_break_even(findings):
    """Every way with its months and, of servers, its sale, as the report works them out."""
    from planner.findings.owned_servers import paid
    from planner.money.ledger import ledger

    horizon = findings.plan.scenario.horizon

    def option(way):
        held = tuple(r.holding for r in (way.owned.meanwhile if way.owned else way.rentals))
        paid_for = ledger(held, horizon.months, ends=horizon.ends)
        if way.owned is None:
            return PaymentOption(paid_for, held)
        own = paid(way.owned, paid_for, horizon.months, ends=horizon.ends).ledger
        return PaymentOption(own, (), way.owned)

    base, ways = option(findings.purchases[0]), []
    for way in findings.purchases[:3]:
        mine = option(way)
        cash, counted = break_even_months(mine, base, findings.discount_rate)
        sold = sold_at_horizon_usd(mine.ledger, findings.discount_rate) if way.owned else 0.0
        months = {"break_even_month": cash, "counted_break_even_month": counted}
        worth = mine.ledger.present_value_usd(findings.discount_rate)
        ways.append(replace(way, **months, leaves=True, sold_usd=sold, present_value_usd=worth))
    return replace(findings, purchases=(*ways, *findings.purchases[3:]))


@pytest.mark.parametrize("horizon", [{}, {"need": "ends"}])
@pytest.mark.parametrize("price", [300_000, 60_000])
def test_break_even_months_are_recalculated(tmp_path, horizon, price):
    findings = priced(**horizon)
    server = replace(findings.purchases[2].owned.server, price_usd=price)
    moved = replace(
        findings.purchases[2], owned=replace(findings.purchases[2].owned, server=server)
    )
    expected = with_break_even(replace(findings, purchases=(*findings.purchases[:2], moved)))
    book = as_workbook(with_break_even(findings))
    book["Assumptions"][named(book, "Server_price").coordinate] = price
    fresh = recalculated(book, tmp_path)["Break-even"]
    shown = dict(zip([c.value for c in fresh[5]], [c.value for c in fresh[3]], strict=True))
    heads = {
        "on-demand": ("on-demand, cash alone", "on-demand, with what is left"),
        "owned": ("owned, nothing sold", "owned, sold then"),
    }
    for way in expected.purchases[1:3]:
        months = (way.break_even_month, way.counted_break_even_month)
        assert tuple(shown[head] for head in heads[way.way]) == tuple(
            "never" if m is None else m for m in months
        )
