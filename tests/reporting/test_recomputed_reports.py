"""Every amount of three reports, worked out again from the plan's JSON and the price files alone.

Nothing here uses the product's arithmetic: cash is added up month by month in plain loops over what the
plan holds, prices are read with the csv module, and present values are sums.
"""

import csv
import json
import math
from pathlib import Path

import pytest

from planner.findings.gather import gather
from planner.package_data import shipped_folder
from planner.reporting.plan.plan_document import plan_document
from planner.session import Session
from planner.solving.options import SolveOptions

PRICES = Path(shipped_folder("catalogs")) / "prices"
TERMS = {"on-demand": 0, "spot": 0, "owned": 0, "1-year": 12, "3-year": 36, "capacity-block": 1}
MAIN, GROWTH, BUY = "llama70b_qps50", "fleet_growth", "rent_or_buy_70b"
HOURS = 730
DISCRETE = (
    2e-5  # relative: a lognormal length is a thousand steps, its mean not quite the stated one
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def session():
    return Session.open(options=SolveOptions(verify="none", rivals=1))


@pytest.fixture(scope="module", params=[MAIN, GROWTH, BUY])
def report(request, session):
    """The plan as JSON, what was found out around it, and the report's tables by key."""
    plan = session.plan_of(request.param)
    solve = session.solver_of_variants(SolveOptions(verify="none", explain=False))
    findings = gather(plan, session.catalog, session.factors, solve)
    return json.loads(plan.to_json()), findings, plan_document(findings).tables()


def rows_of(table):
    keys = [c.key for c in table.columns]
    return [dict(zip(keys, (c.value for c in row), strict=True)) for row in table.cells()]


def read(name):
    with (PRICES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def offers():
    return [row for path in sorted(PRICES.glob("offers_*.csv")) for row in read(path.name)]


def cash_of(rentals):
    """Paid at the end of each month, 0 being signature, however long the contracts last."""
    paid = [0.0] * 400
    for r in rentals:
        term, share = TERMS[r["term"]], r["upfront_share"]
        month_usd = r["count"] * r["usd_per_hour_each"] * r["hours_per_month"]
        before, end = r["from_month"] - 1, r["from_month"] - 1 + r["months"]
        if not term:
            for month in range(before + 1, end + 1):
                paid[month] += month_usd
            continue
        begins = before
        while begins < end:
            paid[begins] += month_usd * share * term
            for month in range(begins + 1, begins + term + 1):
                paid[month] += month_usd * (1 - share)
            begins += term
    last = max((m for m, usd in enumerate(paid) if usd), default=0)
    return paid[: last + 1]


def ahead(rentals, months):
    """Paid upfront for months after the horizon."""
    total = 0.0
    for r in rentals:
        term = TERMS[r["term"]]
        if term:
            beyond = -(-r["months"] // term) * term - r["months"]
            month_usd = r["count"] * r["usd_per_hour_each"] * r["hours_per_month"]
            total += month_usd * r["upfront_share"] * beyond
    return total


def accrued(rentals, months, ends):
    paid = cash_of(rentals)
    return sum(paid) if ends else sum(paid[: months + 1]) - ahead(rentals, months)


def exits(rentals, month):
    """Were all given up at the end of a month: still owed, and paid for what is then not used."""
    owed = unused = 0.0
    for r in rentals:
        term = TERMS[r["term"]]
        month_usd = r["count"] * r["usd_per_hour_each"] * r["hours_per_month"]
        begins, end = r["from_month"] - 1, r["from_month"] - 1 + r["months"]
        while term and begins < end:
            if begins <= month < begins + term and not begins + term <= month:
                left = begins + term - month
                owed += month_usd * (1 - r["upfront_share"]) * left
                unused += month_usd * r["upfront_share"] * left
            begins += term
    return owed, unused


def lengths(plan):
    """Mean rate, prompt and output tokens of all services; None for lengths that are not stated as means."""
    rate = sum(s["served_qps"] for s in plan["services"])
    requested = {s["name"]: s for s in plan["scenario"]["services"]}
    means = [
        sum(s["served_qps"] * requested[s["name"]][key]["mean"] for s in plan["services"]) / rate
        for key in ("prompt_tokens", "output_tokens")
    ]
    return rate, *means


def horizon_of(plan):
    horizon = plan["scenario"]["horizon"]
    return horizon["months"], horizon["need"] == "ends"


def test_totals_follow_from_what_is_held(report):
    plan, _, tables = report
    months, ends = horizon_of(plan)
    hourly = accrued(plan["rentals"], months, ends) / (months * HOURS)
    (found,) = rows_of(tables["totals"])
    assert found["usd_per_hour"] == pytest.approx(hourly)
    assert found["usd_per_month"] == pytest.approx(hourly * HOURS)
    assert found["usd_per_year"] == pytest.approx(hourly * 8760)
    rate, prompt, output = lengths(plan)
    for key, tokens in (("input_", prompt), ("output_", output), ("", prompt + output)):
        expected = hourly / (rate * 3600 * tokens) * 1e6
        assert found[f"usd_per_million_{key}tokens"] == pytest.approx(expected, rel=DISCRETE)


def test_every_node_is_paid_at_its_price_row(report):
    plan, _, tables = report
    listed = {
        (o["provider"], o["region"], o["instance_type"], o["term"]): float(o["usd_per_hour"])
        for o in offers()
    }
    own = {e["usd_per_hour"] for e in plan["scenario"]["existing"]}
    for node in rows_of(tables["order"]):
        key = (node["provider"], node["region"], node["instance_type"], node["term"])
        price = listed.get(key)
        assert node["usd_per_hour_each"] == price or node["usd_per_hour_each"] in own
    per_hour = sum(n["usd_per_hour"] for n in rows_of(tables["order"]))
    assert per_hour == pytest.approx(plan["totals"]["usd_per_hour"])


def test_cash_by_month_and_by_quarter(report):
    plan, _, tables = report
    months, ends = horizon_of(plan)
    paid = cash_of(plan["rentals"])
    for row in rows_of(tables["cash_by_month"]):
        month = row["month"]
        assert row["usd"] == pytest.approx(paid[month] if month < len(paid) else 0.0)
        assert row["so_far_usd"] == pytest.approx(sum(paid[: month + 1]))
        owed, unused = exits(plan["rentals"], month)
        assert row["exit_owed_usd"] == pytest.approx(owed)
        assert row["exit_unused_usd"] == pytest.approx(unused)
    assert sum(r["usd"] for r in rows_of(tables["cash_by_quarter"])) == pytest.approx(sum(paid))
    sums = {r["what"]: r["usd"] for r in rows_of(tables["cash"])}
    assert sums["Due at signature"] == pytest.approx(paid[0])
    assert sums[f"Paid by month {months}, the horizon"] == pytest.approx(sum(paid[: months + 1]))
    assert sums["Still owed after it"] == pytest.approx(sum(paid[months + 1 :]))
    assert sums["Paid ahead for months beyond it"] == pytest.approx(ahead(plan["rentals"], months))
    expected = accrued(plan["rentals"], months, ends)
    assert sums[f"Accrued cost of the {months} months"] == pytest.approx(expected)
    signed = sum(
        r["count"] * r["usd_per_hour_each"] * r["hours_per_month"] * math.ceil(r["months"] / t) * t
        for r in plan["rentals"]
        if (t := TERMS[r["term"]])
    )
    assert sums["Signed for in all"] == pytest.approx(signed)


def server_cash(way, plan):
    """Cash of bought servers by month and what they are worth at the horizon, by the rows' figures."""
    months, ends = horizon_of(plan)
    terms = {row["item"]: float(row["value"]) for row in read("ownership.csv")}
    row = next(r for r in read("servers.csv") if r["name"] == way.owned.server.name)
    price, count, lead = (
        float(row["price_usd"]),
        way.owned.servers,
        round(terms["lead_time_months"]),
    )
    idle, full = float(row["idle_power_kw"]), float(row["max_power_kw"])
    running = (
        (idle + way.owned.utilisation * (full - idle))
        * terms["pue"] * 8760 * terms["tariff_usd_per_kwh"]
        + full * terms["colocation_usd_per_kw_month"] * 12
        + price * (terms["network_share_per_year"] + terms["maintenance_share_per_year"])
        + terms["staff_usd_per_server_year"]
    ) / 12  # fmt: skip
    rent = cash_of([json.loads(r.model_dump_json()) for r in way.owned.meanwhile])
    flow = [count * price] + [
        (rent[m] if m < len(rent) else 0.0) if m <= lead else count * running
        for m in range(1, months + 1)
    ]
    age, life = months - lead, round(terms["life_years"] * 12)
    late = terms["resale_share_36_months"]
    assert age < life, "no server is replaced within these horizons"
    share = (
        late ** (age / 36)
        if age <= 36
        else late * (terms["residual_share"] / late) ** ((age - 36) / (life - 36))
    )
    worth = count * price * share
    if ends:
        flow[months] -= worth
    return flow, 0.0 if ends else worth


def api_cash(plan):
    """Tokens of every month at the cheapest host of each service's own model."""
    months, _ = horizon_of(plan)
    growth = plan["scenario"]["horizon"]["growth_per_month"]
    requested = {s["name"]: s for s in plan["scenario"]["services"]}
    mean = sum((1 + growth) ** m for m in range(months)) / months
    monthly = 0.0
    for service in plan["services"]:
        question = requested[service["name"]]
        prompt, output = (question[k]["mean"] for k in ("prompt_tokens", "output_tokens"))
        costs = [
            prompt * float(r["input_usd_per_million"]) + output * float(r["output_usd_per_million"])
            for r in read("api.csv")
            if r["model"].lower() == service["model"].lower()
        ]
        if not costs:
            return None
        monthly += service["served_qps"] / mean * 3600 * HOURS * min(costs) / 1e6
    return [0.0] + [monthly * (1 + growth) ** m for m in range(months)]


def test_every_way_to_pay(report):
    plan, findings, tables = report
    months, ends = horizon_of(plan)
    rate = next(
        float(r["value"]) for r in read("ownership.csv") if r["item"] == "capital_rate_per_year"
    )
    shown = {r["way"].removesuffix(" (planned)"): r for r in rows_of(tables["ways_to_pay"])}
    checked = set()
    for way in findings.purchases:
        if way.cost_usd is None:
            continue
        if way.owned is not None:
            flow, left = server_cash(way, plan)
        elif way.api is not None:
            found = api_cash(plan)
            if found is None:
                continue  # a nearer model is used; tested where the rows are chosen
            flow, left = found, 0.0
        else:
            held = [json.loads(r.model_dump_json()) for r in way.rentals]
            flow, left = cash_of(held), 0.0 if ends else ahead(held, months)
        within = flow if ends else flow[: months + 1]
        row, near = shown[way.way], DISCRETE if way.api is not None else 1e-9
        assert row["cost_usd"] == pytest.approx(sum(within) - left, rel=near), way.way
        assert row["usd_per_month"] == pytest.approx((sum(within) - left) / months, rel=near)
        assert row["due_at_signature_usd"] == pytest.approx(flow[0])
        assert row["first_year_usd"] == pytest.approx(sum(flow[: min(12, months) + 1]), rel=near)
        assert row["cash_usd"] == pytest.approx(sum(flow[: months + 1]), rel=near)
        assert row["owed_usd"] == pytest.approx(sum(flow[months + 1 :]), abs=1e-6)
        assert row["left_usd"] == pytest.approx(left)
        worth = sum(usd / (1 + rate) ** (m / 12) for m, usd in enumerate(within))
        worth -= left / (1 + rate) ** (months / 12)
        assert row["present_value_usd"] == pytest.approx(worth, rel=near), way.way
        if way.low_usd is not None:
            ends = next(r for r in rows_of(tables["price_ranges"]) if r["way"] == way.way)
            assert ends["low_usd"] <= row["cost_usd"] + 1e-6 <= ends["high_usd"] + 2e-6
        checked.add(way.way)
    assert checked


def test_energy_follows_from_power_and_load(report):
    plan, _, tables = report
    terms = {row["item"]: float(row["value"]) for row in read("ownership.csv")}
    servers = {r["gpu"]: r for r in read("servers.csv")}
    limits_w = {r["name"]: float(r["tdp_w"]) for r in read("../gpus.csv")}
    nodes = rows_of(tables["order"])
    used = {}
    for service in plan["services"]:
        for group in service["replica_groups"]:
            used[group["gpu"]] = used.get(group["gpu"], 0) + group["utilisation"] * group["gpus"]
    kw = 0.0
    for gpu in {n["gpu"] for n in nodes}:
        gpus = sum(
            n["count"] * n["gpus_per_node"] * n["hours_share"] for n in nodes if n["gpu"] == gpu
        )
        row = servers.get(gpu)
        if row is None:
            kw += gpus * limits_w[gpu] / 1000
            continue
        size = int(row["gpus"])
        idle, full = float(row["idle_power_kw"]) / size, float(row["max_power_kw"]) / size
        kw += gpus * (idle + min(1.0, used[gpu] / gpus) * (full - idle))
    energy = rows_of(tables["energy"])[0]
    assert energy["per_month"] == pytest.approx(kw * terms["pue"] * HOURS)


def test_regret_and_ladder_are_against_the_plan(report):
    plan, findings, tables = report
    month = plan["totals"]["usd_per_month"]
    for row in rows_of(tables["price_ladder"]) if "price_ladder" in tables else ():
        if row["usd_per_month"] is not None:
            assert row["relative"] == pytest.approx(row["usd_per_month"] / month - 1)
    for row in rows_of(tables["sensitivity"]) if "sensitivity" in tables else ():
        base = findings.baseline.usd_per_hour
        if row["usd_per_hour"] is not None:
            assert row["difference_usd_per_hour"] == pytest.approx(row["usd_per_hour"] - base)
            assert row["relative"] == pytest.approx(row["usd_per_hour"] / base - 1)
