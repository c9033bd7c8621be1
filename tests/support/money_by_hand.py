"""Cash, terms and worth of servers in plain loops, from a plan's JSON and the price files alone.

Nothing here uses the product's arithmetic; reports are held against it.
"""

import csv
import json
from pathlib import Path

from planner.package_data import shipped_folder

PRICES = Path(shipped_folder("catalogs")) / "prices"
TERMS = {"on-demand": 0, "spot": 0, "owned": 0, "1-year": 12, "3-year": 36, "capacity-block": 1}
HOURS = 730


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


def first_for_good(saved):
    """In the report's words: from which month on nothing is lost any more."""
    lost = [m for m, usd in enumerate(saved) if usd < -1e-3]
    first = lost[-1] + 1 if lost else 0
    if first == len(saved):
        return f"never within {len(saved) - 1} months"
    return f"month {first}" if first else "from the start"
