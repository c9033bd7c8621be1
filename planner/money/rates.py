"""Money: months and years, cost per million tokens, cash flows and present values.

A month is 730 h and a year 8,760 h. Cost per million tokens is taken at mean demand, never at
capacity. Cash flows fall at month ends (month 0 is today); a present value discounts month ``m`` by
``(1 + r)^(m / 12)`` at the stated annual rate ``r``. Nothing here knows where a price came from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from planner.units import HOURS_PER_MONTH, HOURS_PER_YEAR

SECONDS_PER_HOUR = 3600.0


def usd_per_month(usd_per_hour: float) -> float:
    """Cost of a 730 h month [USD].

    usd_per_hour: [USD/h].
    """
    return usd_per_hour * HOURS_PER_MONTH


def usd_per_year(usd_per_hour: float) -> float:
    """Cost of an 8,760 h year [USD].

    usd_per_hour: [USD/h].
    """
    return usd_per_hour * HOURS_PER_YEAR


@dataclass(frozen=True, slots=True)
class TokenCost:
    """USD per million tokens at mean demand.

    ``output`` and ``input`` each bear the whole bill; ``blended`` spreads it over both kinds. None
    where no such token flows.
    """

    input: float | None
    output: float | None
    blended: float | None


def token_cost(
    usd_per_hour: float, rate_qps: float, prompt_tokens: float, output_tokens: float
) -> TokenCost:
    """The bill per million tokens: ``usd_per_hour / (3600 rate tokens) 1e6``.

    ``rate_qps``: mean requests per second; tokens: mean per request.
    usd_per_hour: of the fleet [USD/h]; prompt_tokens, output_tokens: means of a request [tokens].
    """

    def per_million(tokens: float) -> float | None:
        hourly_tokens = SECONDS_PER_HOUR * rate_qps * tokens
        return usd_per_hour / hourly_tokens * 1e6 if hourly_tokens > 0 else None

    return TokenCost(
        input=per_million(prompt_tokens),
        output=per_million(output_tokens),
        blended=per_million(prompt_tokens + output_tokens),
    )


@dataclass(frozen=True, slots=True)
class CashFlow:
    """Money paid (positive) or received (negative) at the end of a month; month 0 is today."""

    month: int
    usd: float
    item: str


def monthly(usd: float | Sequence[float], months: int, item: str) -> tuple[CashFlow, ...]:
    """The same (or each month's own) payment at the end of months 1 to ``months``.

    usd: paid at the end of each month [USD].
    """
    amounts = [usd] * months if isinstance(usd, (int, float)) else usd[:months]
    return tuple(CashFlow(m, a, item) for m, a in enumerate(amounts, start=1))


def present_value_usd(flows: Iterable[CashFlow], annual_rate: float) -> float:
    """Sum of the flows discounted to today [USD]: ``sum usd / (1 + r)^(month / 12)``.

    annual_rate: r, of discounting, per year.
    """
    return math.fsum(f.usd * discount(f.month, annual_rate) for f in flows)


def discount(month: int, annual_rate: float) -> float:
    """Today's worth of one dollar paid at the end of ``month``.

    annual_rate: r, per year: ``1 / (1 + r)^(month / 12)``.
    """
    return float((1 + annual_rate) ** (-month / 12))


def levelised_usd_per_hour(
    flows: Iterable[CashFlow], horizon_months: int, annual_rate: float
) -> float:
    """The constant hourly price with the same present value over the horizon [USD/h].

    annual_rate: of discounting, per year.
    """
    unit = present_value_usd(monthly(HOURS_PER_MONTH, horizon_months, "hour"), annual_rate)
    return present_value_usd(flows, annual_rate) / unit


def break_even_rate_qps(
    fleet_usd_per_hour: Callable[[float], float],
    usd_per_request: float,
    rates_qps: Sequence[float],
) -> float | None:
    """Lowest of ``rates_qps`` from which the own fleet costs no more than paying per request.

    ``fleet_usd_per_hour(rate)`` is the cost of the cheapest fleet at that rate, a step function: the
    answer holds at every higher rate given, too. None when the fleet never wins.
    usd_per_request: what the other side charges [USD].
    """
    answer: float | None = None
    for rate in sorted(rates_qps, reverse=True):
        if fleet_usd_per_hour(rate) > usd_per_request * rate * SECONDS_PER_HOUR:
            break
        answer = rate
    return answer


def break_even_rate_of_fixed_fleet_qps(usd_per_hour: float, usd_per_request: float) -> float:
    """The rate at which a fleet of fixed cost equals paying per request: ``C / (3600 a)``.

    usd_per_hour: C [USD/h]; usd_per_request: a [USD].
    """
    return usd_per_hour / (SECONDS_PER_HOUR * usd_per_request)
