"""Every amount of three reports, worked out again from the plan's JSON and the price files alone.

A fourth has servers of one's own that are bought in steps. Nothing here uses the product's arithmetic: cash
is added up month by month in plain loops over what the plan holds, prices are read with the csv module,
and present values are sums.
"""

import csv
import json
import math
from pathlib import Path

import pytest

from planner.findings.gather import gather
from planner.package_data import shipped_folder
from planner.reporting.plan.plan_document import plan_document
from planner.scenario.changes import read_change
from planner.session import Session
from planner.solving.options import SolveOptions

PRICES = Path(shipped_folder("catalogs")) / "prices"
TERMS = {"on-demand": 0, "spot": 0, "owned": 0, "1-year": 12, "3-year": 36, "capacity-block": 1}
MAIN, GROWTH, BUY = "llama70b_qps50", "fleet_growth", "rent_or_buy_70b"
BUY_MORE = {"horizon": "{months: 36, stages: 3, growth_per_month: 0.04}"}  # of rent_or_buy_70b
HOURS = 730
DISCRETE = (
    2e-5  # relative: a lognormal length is a thousand steps, its mean not quite the stated one
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[(MAIN, {}), (GROWTH, {}), (BUY, {}), (BUY, BUY_MORE)])
def report(request):
    """The plan as JSON, what was found out around it, and the report's tables by key."""
    name, changes = request.param
    made = tuple(read_change(f"{field}={value}") for field, value in changes.items())
    session = Session.open(options=SolveOptions(verify="none", rivals=1), changes=made)
    plan = session.plan_of(name)
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


def terms_of_rows(**changed):
    """What owning costs, by the rows' figures, some of them changed."""
    return {row["item"]: float(row["value"]) for row in read("ownership.csv")} | changed


def value_share(age, terms):
    """Share of its price that a server of so many months is worth."""
    late, life = terms["resale_share_36_months"], round(terms["life_years"] * 12)
    if age <= 36:
        return late ** (age / 36)
    return late * (terms["residual_share"] / late) ** ((age - 36) / (life - 36))


def servers_worth(way, plan, month):
    """What the servers ordered by a month could be sold for then: their price until they are delivered."""
    terms = terms_of_rows()
    row = next(r for r in read("servers.csv") if r["name"] == way.owned.server.name)
    lead = round(terms["lead_time_months"])
    ordered = [(n, max(0, needed - lead)) for n, needed in stages_of(way, plan, int(row["gpus"]))]
    return sum(
        n * float(row["price_usd"]) * value_share(max(0, month - at - lead), terms)
        for n, at in ordered
        if at <= month
    )


def server_cash(way, plan, *, usd=None, **changed):
    """Cash of bought servers by month and what they are worth at the horizon, by the rows' figures."""
    months, ends = horizon_of(plan)
    terms = terms_of_rows(**changed)
    row = next(r for r in read("servers.csv") if r["name"] == way.owned.server.name)
    price, lead = float(row["price_usd"]) if usd is None else usd, round(terms["lead_time_months"])
    idle, full = float(row["idle_power_kw"]), float(row["max_power_kw"])
    running = (
        (idle + way.owned.utilisation * (full - idle))
        * terms["pue"] * 8760 * terms["tariff_usd_per_kwh"]
        + full * terms["colocation_usd_per_kw_month"] * 12
        + price * (terms["network_share_per_year"] + terms["maintenance_share_per_year"])
        + terms["staff_usd_per_server_year"]
    ) / 12  # fmt: skip
    rent = cash_of([json.loads(r.model_dump_json()) for r in way.owned.meanwhile])
    flow = [rent[m] if m < len(rent) and m <= lead else 0.0 for m in range(months + 1)]
    life, worth = round(terms["life_years"] * 12), 0.0
    for count, needed in stages_of(way, plan, int(row["gpus"])):
        ordered = max(0, needed - lead)
        age = months - ordered - lead
        assert 0 < age < life, "no server is replaced within these horizons"
        flow[ordered] += count * price
        for month in range(ordered + lead + 1, months + 1):
            flow[month] += count * running
        worth += count * price * value_share(age, terms)
    if ends:
        flow[months] -= worth
    return flow, 0.0 if ends else worth


def stages_of(way, plan, gpus_per_server):
    """Servers bought, and the months until they are needed: all at once where there is one stage."""
    horizon = plan["scenario"]["horizon"]
    bought = [(way.owned.servers, 0), *((a.servers, a.after_months) for a in way.owned.added)]
    if horizon["stages"] == 1:
        assert len(bought) == 1
        return bought
    groups = [g for s in plan["services"] for g in s["replica_groups"]]
    if {g["gpu"] for g in groups} == {way.owned.server.gpu}:  # the planned fleet itself is bought
        per_server = gpus_per_server // (groups[0]["gpus"] // groups[0]["replicas"])
        needed = [-(-sum(p["replicas"].values()) // per_server) for p in plan["periods"]]
        length = horizon["months"] // horizon["stages"]
        expected, held = [], 0
        for stage, servers in enumerate(needed):
            if servers > held:
                expected.append((servers - held, stage * length))
                held = servers
        assert len(groups) == 1
        assert bought == expected
    assert sum(n for n, _ in bought) == way.owned.all_servers
    return bought


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
            known = next(r for r in rows_of(tables["price_ranges"]) if r["way"] == way.way)
            assert known["low_usd"] <= row["cost_usd"] + 1e-6 <= known["high_usd"] + 2e-6
        checked.add(way.way)
    assert checked


def first_for_good(saved):
    """In the report's words: from which month on nothing is lost any more."""
    lost = [m for m, usd in enumerate(saved) if usd < -1e-3]
    first = lost[-1] + 1 if lost else 0
    if first == len(saved):
        return f"never within {len(saved) - 1} months"
    return f"month {first}" if first else "from the start"


def test_every_break_even(report):
    """Present values paid by each month, and with what is left then, against the plan's."""
    plan, findings, tables = report
    months, ends = horizon_of(plan)
    rate = terms_of_rows()["capital_rate_per_year"]
    shown = {r["comparison"]: r["at"] for r in rows_of(tables["break_even"])}

    def factor(month):
        return (1 + rate) ** (-month / 12)

    def courses(way):
        """Cash by each month, and what it has cost with what is left counted."""
        held = [json.loads(r.model_dump_json()) for r in way.rentals]
        flow, left = server_cash(way, plan) if way.owned else (cash_of(held), ahead(held, months))
        after = sum(u * factor(m) for m, u in enumerate(flow) if m > months) if ends else 0.0
        whole = sum(u * factor(m) for m, u in enumerate(flow[: months + 1])) + after
        whole -= 0.0 if ends else left * factor(months)
        if way.owned and ends:  # sold in the last month: left then, no cash of these months
            flow = [*flow[:-1], flow[-1] + servers_worth(way, plan, months)]
        cash = [sum(u * factor(k) for k, u in enumerate(flow[: m + 1])) for m in range(months + 1)]
        now = [
            servers_worth(way, plan, m) if way.owned else exits(held, m)[1] for m in range(months)
        ]
        return cash, [
            *(c - w * factor(m) for m, (c, w) in enumerate(zip(cash, now, strict=False))),
            whole,
        ]

    base = courses(findings.purchases[0])
    for way in findings.purchases[1:]:
        if way.cost_usd is None or way.api is not None:
            continue
        cash, with_left = (
            first_for_good([b - w for b, w in zip(theirs, mine, strict=True)])
            for theirs, mine in zip(base, courses(way), strict=True)
        )
        name = f"{way.way} against the plan"
        if way.owned is not None:
            assert shown.pop(f"{name}, nothing sold") == cash
            assert shown.pop(f"{name}, servers sold then") == with_left
        elif f"{name}, cash alone" in shown:
            assert shown.pop(f"{name}, cash alone") == cash
            assert shown.pop(f"{name}, with what is left") == with_left
        else:
            assert shown.pop(name) == cash == with_left
    assert all(name.endswith("the API") for name in shown)


def test_what_moves_the_cost_of_owning(report):
    """Each figure of the rows at its low and its high end, and the range of the servers' price."""
    plan, findings, _ = report
    months, _ = horizon_of(plan)
    way = next((w for w in findings.purchases if w.owned is not None), None)
    if way is None:
        assert not [s for s in findings.swings if s.of == "owned"]
        return
    items = {
        "Residual": "residual_share", "Resale at 36 months": "resale_share_36_months", "PUE": "pue",
        "Tariff": "tariff_usd_per_kwh", "Colocation": "colocation_usd_per_kw_month",
    }  # fmt: skip
    rows = {r["item"]: r for r in read("ownership.csv")}
    server = next(r for r in read("servers.csv") if r["name"] == way.owned.server.name)

    def monthly(**changed):
        flow, left = server_cash(way, plan, **changed)
        return (sum(flow) - left) / months

    swings = {s.input: s for s in findings.swings if s.of == "owned"}
    for name, item in items.items():
        low, high = (monthly(**{item: float(rows[item][end])}) for end in ("low", "high"))
        assert swings[name].low_usd_per_month == pytest.approx(low), name
        assert swings[name].high_usd_per_month == pytest.approx(high), name
    ends = [monthly(usd=float(server[f"price_{end}_usd"])) for end in ("low", "high")]
    price = swings["Server price"]
    assert [price.low_usd_per_month, price.high_usd_per_month] == pytest.approx(ends)
    assert [way.low_usd, way.high_usd] == pytest.approx([usd * months for usd in ends])


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
