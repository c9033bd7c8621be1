"""What the formulas of the workbook refer to by name: the horizon, demand, API prices, ownership."""

from __future__ import annotations

from collections.abc import Iterator

from planner.findings.schema import Findings, OwnedFleet
from planner.findings.ways_to_pay import traffic_of
from planner.money.ownership import AddedServers, ownership_cost
from planner.money.ways_to_pay import ApiPrice
from planner.reporting.document import Quantity
from planner.reporting.formats.workbook import Sheet
from planner.reporting.plan.spreadsheet_servers import RUNNING, orders_of
from planner.units import HOURS_PER_MONTH, HOURS_PER_YEAR

Input = tuple[str, str, float, str, Quantity]  # label, name, value, unit, how it is written


def write_inputs(sheet: Sheet, findings: Findings) -> None:
    """Every input under its name, and what follows from them for demand and servers."""
    sheet.title("What the numbers rest on")
    sheet.heads(2, ("Input", "Value", "Unit"), numbers=(1,))
    row = 3
    for label, name, value, unit, quantity in _inputs(findings):
        sheet.text(row, 0, label)
        sheet.number(row, 1, value, quantity, is_input=True, name=name)
        sheet.text(row, 2, unit)
        row += 1
    for label, name, formula, value, unit, quantity in _derived(findings):
        sheet.text(row, 0, label)
        sheet.formula(row, 1, formula, value, quantity, name=name)
        sheet.text(row, 2, unit)
        row += 1
    sheet.widths(44, 16, 22)
    sheet.below(row + 1)


def _inputs(findings: Findings) -> Iterator[Input]:
    plan, traffic = findings.plan, traffic_of(findings.plan)
    horizon = plan.scenario.horizon
    rate = plan.served_qps
    yield "Hours per month", "Hours_per_month", HOURS_PER_MONTH, "h", Quantity.COUNT
    yield "Hours per year", "Hours_per_year", HOURS_PER_YEAR, "h", Quantity.COUNT
    yield "Horizon", "Horizon_months", horizon.months, "months", Quantity.COUNT
    ends = "1: the need ends with the horizon, 0: it continues"
    yield "Need ends", "Need_ends", float(horizon.ends), ends, Quantity.COUNT
    yield "Mean request rate", "Rate", rate, "requests/s", Quantity.NUMBER
    yield "Growth", "Growth_per_month", horizon.growth_per_month, "a month", Quantity.SHARE
    tokens = "tokens per request"
    yield "Mean input tokens", "Input_tokens", traffic.prompt_tokens, tokens, Quantity.NUMBER
    yield "Mean output tokens", "Output_tokens", traffic.output_tokens, tokens, Quantity.NUMBER
    yield "Discount rate", "Discount_rate", findings.discount_rate or 0.0, "a year", Quantity.SHARE
    api = api_of(findings)
    if api is not None:
        unit = "USD per million tokens"
        prices = (api.usd_per_million_input, api.usd_per_million_output)
        yield "API, input tokens", "API_input_price", prices[0], unit, Quantity.NUMBER
        yield "API, output tokens", "API_output_price", prices[1], unit, Quantity.NUMBER
    owned = owned_of(findings)
    if owned is not None:
        yield from _ownership(owned)


def _ownership(owned: OwnedFleet) -> Iterator[Input]:
    s = owned.server
    resale = dict(s.resale).get(36, 0.0)
    a_year = "of the price a year"
    yield "Servers bought", "Servers", owned.servers, "servers", Quantity.COUNT
    yield "Price of a server", "Server_price", s.price_usd, "USD", Quantity.USD
    yield "Life", "Life_months", s.life_months, "months", Quantity.COUNT
    of_price = "of the price"
    yield "Residual at life's end", "Residual_share", s.residual_share, of_price, Quantity.SHARE
    yield "Resale at 36 months", "Resale_share_36_months", resale, of_price, Quantity.SHARE
    yield "Full power of a server", "Max_power_kW", s.max_power_kw, "kW", Quantity.NUMBER
    yield "Idle power of a server", "Idle_power_kW", s.idle_power_kw, "kW", Quantity.NUMBER
    yield "Utilization of the power range", "Utilization", owned.utilisation, "", Quantity.SHARE
    yield "PUE", "PUE", s.pue, "facility over IT power", Quantity.NUMBER
    yield "Tariff", "Tariff", s.tariff_usd_per_kwh, "USD per kWh", Quantity.NUMBER
    colocation = s.colocation_usd_per_kw_month
    yield "Colocation", "Colocation", colocation, "USD per kW and month", Quantity.NUMBER
    yield "Network", "Network_share", s.network_share_per_year, a_year, Quantity.SHARE
    yield "Maintenance", "Maintenance_share", s.maintenance_share_per_year, a_year, Quantity.SHARE
    staff = s.staff_usd_per_year
    yield "Staff", "Staff_per_server", staff, "USD per server and year", Quantity.USD
    yield "Lead time", "Lead_time_months", s.lead_time_months, "months", Quantity.COUNT
    _, *later = orders_of(owned)
    for order, more in zip(later, owned.added, strict=True):
        needed = f"Added servers, needed by month {more.after_months + 1}"
        yield needed, order.servers, more.servers, "servers", Quantity.COUNT
        after = more.after_months
        yield "Months until they are needed", order.needed_after, after, "months", Quantity.COUNT


def _derived(findings: Findings) -> Iterator[tuple[str, str, str, float, str, Quantity]]:
    traffic, horizon = traffic_of(findings.plan), findings.plan.scenario.horizon
    yield (
        "Request rate of the first month",
        "Rate_first_month",
        "=IF(Growth_per_month=0,Rate,Rate*Growth_per_month*Horizon_months/((1+Growth_per_month)^Horizon_months-1))",
        traffic.rate_qps,
        "requests/s",
        Quantity.NUMBER,
    )
    owned = owned_of(findings)
    if owned is None:
        return
    server = owned.server
    running = ownership_cost(server, utilisation=owned.utilisation, capital_rate=0.0).running
    yield (
        "Running cost of a server",
        "Running_per_month",
        RUNNING,
        running * HOURS_PER_MONTH,
        "USD per month",
        Quantity.USD,
    )
    orders = zip(orders_of(owned), (AddedServers(owned.servers, 0), *owned.added), strict=True)
    for order, more in orders:
        ordered, nth = (
            more.ordered_at(server.lead_time_months),
            order.suffix.replace("_", ", order "),
        )
        in_service = horizon.months - ordered - server.lead_time_months
        age = in_service % server.life_months if in_service > 0 else 0
        worth = server.residual_usd(age) / server.price_usd if age or in_service <= 0 else 0.0
        share = Quantity.SHARE
        if order.suffix:
            month = order.ordered, order.order_month
            yield f"Month of the order{nth}", *month, ordered, "months", Quantity.COUNT
        yield (
            f"Age at the horizon{nth}",
            order.age,
            order.age_formula,
            age,
            "months",
            Quantity.COUNT,
        )
        value = order.worth, order.worth_formula
        yield f"Worth at the horizon{nth}", *value, worth, "of the price", share


def api_of(findings: Findings) -> ApiPrice | None:
    """The API price that is compared, if any."""
    return next((p.api for p in findings.purchases if p.api is not None), None)


def owned_of(findings: Findings) -> OwnedFleet | None:
    """The servers that are compared, if any."""
    return next((p.owned for p in findings.purchases if p.owned is not None), None)
