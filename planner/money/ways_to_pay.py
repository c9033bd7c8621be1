"""Rent, reserve, buy, or call an API: the same demand paid for in different ways, side by side.

Every way is a ledger of cash over one horizon; they are compared by present value at a stated
discount rate. What a way leaves behind at the horizon is stated separately: what is still owed, what is paid
ahead, or what owned servers are worth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from planner.money.ledger import CashLedger, Holding, ledger
from planner.money.ownership import MONTHS_PER_YEAR, AddedServers, OwnedServer, growing_ledger
from planner.money.rates import (
    SECONDS_PER_HOUR,
    CashFlow,
    TokenCost,
    levelised_usd_per_hour,
    monthly,
    token_cost,
    usd_per_month,
)


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
    """One way to serve the demand, with everything that is paid for it."""

    name: str
    ledger: CashLedger


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One line of the side-by-side table; cash and accrued cost are separate.

    Cash: ``due_at_signature_usd``; ``upfront_usd``, all payments ahead; ``first_year_usd``, paid by the
    end of month 12; ``cash_usd``, by the end of the horizon; ``owed_usd``, after it. Accrued:
    ``cost_usd`` of the horizon, ``usd_per_month`` its mean, ``left_usd`` what is not charged to it.
    ``usd_per_hour``: the constant price with the same present value; ``tokens``: at that price and
    mean demand. ``saving_share``: against the first way given.
    """

    name: str
    due_at_signature_usd: float
    upfront_usd: float
    first_year_usd: float
    cash_usd: float
    owed_usd: float
    left_usd: float
    cost_usd: float
    usd_per_month: float
    usd_per_hour: float
    present_value_usd: float
    tokens: TokenCost
    saving_share: float


def held(name: str, holdings: Iterable[Holding], months: int, *, ends: bool) -> WayToPay:
    """Rent or commit: nodes held by the hour or under terms."""
    return WayToPay(name, ledger(holdings, months, ends=ends))


def bought(
    name: str,
    server: OwnedServer,
    servers: int,
    months: int,
    *,
    utilisation: float,
    ends: bool,
    meanwhile: CashLedger | None = None,
    added: Sequence[AddedServers] = (),
) -> WayToPay:
    """Buy servers today and add others; until the first arrive pay as ``meanwhile`` does, by the hour.

    utilisation: mean share of full load, for power.
    """
    until = min(server.lead_time_months, months)
    bridge = [
        CashFlow(f.month, f.usd, "rent until delivery")
        for f in (meanwhile.flows if meanwhile else ())
        if f.month <= until
    ]
    own = growing_ledger(server, servers, added, months, utilisation=utilisation, ends=ends)
    flows = sorted((*bridge, *own.flows), key=lambda f: (f.month, f.item))
    return WayToPay(name, replace(own, flows=tuple(flows)))


def called(price: ApiPrice, traffic: Traffic, months: int) -> WayToPay:
    """Pay an API per token."""
    per_request = price.usd_per_request(traffic)
    amounts = [
        usd_per_month(per_request * traffic.rate_in_month(m) * SECONDS_PER_HOUR)
        for m in range(1, months + 1)
    ]
    return WayToPay(price.name, CashLedger(monthly(amounts, months, "API"), months, ends=False))


def side_by_side(
    ways: Sequence[WayToPay], traffic: Traffic, months: int, annual_rate: float
) -> tuple[PaymentRow, ...]:
    """Compare ways to pay over a horizon; the first is the baseline. Rows keep the order given.

    annual_rate: of discounting, per year.
    """
    baseline = ways[0].ledger
    baseline_usd = baseline.present_value_usd(annual_rate)
    rows = []
    for way in ways:
        paid = way.ledger
        worth = paid.present_value_usd(annual_rate)
        hourly = levelised_usd_per_hour(paid.counted(), months, annual_rate)
        rows.append(
            PaymentRow(
                name=way.name,
                due_at_signature_usd=paid.due_at_signature_usd,
                upfront_usd=paid.upfront_usd,
                first_year_usd=paid.cash_usd(min(MONTHS_PER_YEAR, months)),
                cash_usd=paid.cash_usd(months),
                owed_usd=paid.owed_usd,
                left_usd=paid.left_usd,
                cost_usd=paid.cost_usd,
                usd_per_month=paid.cost_usd / months,
                usd_per_hour=hourly,
                present_value_usd=worth,
                tokens=token_cost(
                    hourly,
                    traffic.mean_rate(months),
                    traffic.prompt_tokens,
                    traffic.output_tokens,
                ),
                saving_share=1 - worth / baseline_usd if baseline_usd else 0.0,
            )
        )
    return tuple(rows)
