"""Rent, reserve, buy, or call an API: the same demand paid for in different ways, side by side.

Every way is a list of cash flows over one horizon; they are compared by present value at a stated
discount rate. What a way leaves behind at the horizon is told apart: a liability still owed
(commitments) or a residual value already credited (owned servers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from planner.fleet.money import (
    SECONDS_PER_HOUR,
    CashFlow,
    Commitment,
    TokenCost,
    break_even_month,
    levelised_usd_per_hour,
    monthly,
    present_value_usd,
    token_cost,
    usd_per_month,
)
from planner.fleet.ownership import OwnedServer, ownership_flows


@dataclass(frozen=True, slots=True)
class Traffic:
    """Mean demand: requests per second, and tokens per request; ``growth_per_month`` compounds."""

    rate_qps: float
    prompt_tokens: float
    output_tokens: float
    growth_per_month: float = 0.0

    def rate_in_month(self, month: int) -> float:
        """Mean rate in a month, 1 being the first [requests/s]."""
        return float(self.rate_qps * (1 + self.growth_per_month) ** (month - 1))

    def mean_rate(self, months: int) -> float:
        """Mean rate over the horizon [requests/s]."""
        return math.fsum(self.rate_in_month(m) for m in range(1, months + 1)) / months


@dataclass(frozen=True, slots=True)
class ApiPrice:
    """A price list's entry: USD per million prompt and output tokens."""

    name: str
    usd_per_million_input: float
    usd_per_million_output: float

    def usd_per_request(self, traffic: Traffic) -> float:
        """What one mean request costs [USD]."""
        return (
            traffic.prompt_tokens * self.usd_per_million_input
            + traffic.output_tokens * self.usd_per_million_output
        ) / 1e6


@dataclass(frozen=True, slots=True)
class WayToPay:
    """One way to serve the demand, as cash flows; ``liability_usd``: still owed at the horizon."""

    name: str
    flows: tuple[CashFlow, ...]
    liability_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One line of the side-by-side table.

    ``upfront_usd``: paid today; ``usd_per_month``: mean over the horizon, undiscounted;
    ``usd_per_hour``: the constant price with the same present value; ``tokens``: at that price and
    mean demand; ``saving_share`` and ``break_even_month`` against the first way given: None where it
    never breaks even.
    """

    name: str
    upfront_usd: float
    usd_per_month: float
    usd_per_hour: float
    present_value_usd: float
    liability_usd: float
    tokens: TokenCost
    saving_share: float
    break_even_month: int | None


def rented(name: str, usd_per_hour: float | Sequence[float], months: int) -> WayToPay:
    """Pay by the hour; one price, or one per month where the fleet grows."""
    by_month = (
        usd_per_month(usd_per_hour)
        if isinstance(usd_per_hour, (int, float))
        else [usd_per_month(price) for price in usd_per_hour]
    )
    return WayToPay(name, monthly(by_month, months, "rent"))


def reserved(name: str, commitment: Commitment, months: int, on_top: float = 0.0) -> WayToPay:
    """Commit for a term, renewed until the horizon ends, with ``on_top`` [USD/h] rented besides.

    A term that outlasts the horizon is charged pro rata: an upfront payment is credited for the
    months beyond, and what is still owed for them is the liability.
    """
    flows = list(monthly(usd_per_month(commitment.usd_per_hour + on_top), months, "commitment"))
    if commitment.upfront_usd:
        starts = range(0, months, commitment.term_months)
        flows += [CashFlow(m, commitment.upfront_usd, "upfront") for m in starts]
        unused = commitment.months_beyond(months) / commitment.term_months
        if unused:
            flows.append(CashFlow(months, -unused * commitment.upfront_usd, "unused upfront"))
    flows.sort(key=lambda f: (f.month, f.item))
    return WayToPay(name, tuple(flows), commitment.residual_liability_usd(months))


def bought(
    name: str,
    server: OwnedServer,
    servers: int,
    months: int,
    *,
    utilisation: float,
    bridge_usd_per_hour: float = 0.0,
) -> WayToPay:
    """Buy servers today; rent at ``bridge_usd_per_hour`` until they are delivered."""
    bridge = monthly(
        usd_per_month(bridge_usd_per_hour),
        min(server.lead_time_months, months),
        "rent until delivery",
    )
    flows = ownership_flows(server, servers, months, utilisation=utilisation)
    return WayToPay(name, tuple(sorted((*bridge, *flows), key=lambda f: (f.month, f.item))))


def called(price: ApiPrice, traffic: Traffic, months: int) -> WayToPay:
    """Pay an API per token."""
    per_request = price.usd_per_request(traffic)
    amounts = [
        usd_per_month(per_request * traffic.rate_in_month(m) * SECONDS_PER_HOUR)
        for m in range(1, months + 1)
    ]
    return WayToPay(price.name, monthly(amounts, months, "API"))


def side_by_side(
    ways: Sequence[WayToPay], traffic: Traffic, months: int, annual_rate: float
) -> tuple[PaymentRow, ...]:
    """Compare ways to pay over a horizon; the first is the baseline. Rows keep the order given."""
    baseline = ways[0]
    baseline_usd = present_value_usd(baseline.flows, annual_rate)
    rows = []
    for way in ways:
        worth = present_value_usd(way.flows, annual_rate)
        hourly = levelised_usd_per_hour(way.flows, months, annual_rate)
        rows.append(
            PaymentRow(
                name=way.name,
                upfront_usd=math.fsum(f.usd for f in way.flows if f.month == 0),
                usd_per_month=math.fsum(f.usd for f in way.flows) / months,
                usd_per_hour=hourly,
                present_value_usd=worth,
                liability_usd=way.liability_usd,
                tokens=token_cost(
                    hourly,
                    traffic.mean_rate(months),
                    traffic.prompt_tokens,
                    traffic.output_tokens,
                ),
                saving_share=1 - worth / baseline_usd if baseline_usd else 0.0,
                break_even_month=None
                if way is baseline
                else break_even_month(way.flows, baseline.flows, annual_rate),
            )
        )
    return tuple(rows)


def cash_flows(ways: Sequence[WayToPay], months: int) -> tuple[tuple[float, ...], ...]:
    """What each way pays at the end of month 0 to ``months`` [USD], one tuple per way."""
    table = []
    for way in ways:
        paid = [0.0] * (months + 1)
        for flow in way.flows:
            paid[flow.month] += flow.usd
        table.append(tuple(paid))
    return tuple(table)
