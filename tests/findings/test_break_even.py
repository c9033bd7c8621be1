"""When a way to pay has cost no more than another: recounted month by month, and said in words."""

import plan_builder as build
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog.store import load_catalog
from planner.findings.break_even import PaymentOption, break_even_months
from planner.findings.gather import break_even_points
from planner.findings.schema import OwnedFleet
from planner.findings.ways_to_pay import purchases
from planner.money.ledger import Holding, ledger
from planner.money.ownership import OwnedServer
from planner.money.ways_to_pay import bought

SERVER = OwnedServer(
    "s", "h100", 8, 120_000, 5, 0.1, 10, 2, 1.0, 0.0, 0.0, lead_time_months=0, resale=((36, 0.4),)
)


def rented(*holdings, months=36, ends=False):
    return PaymentOption(ledger(holdings, months, ends=ends), holdings)


def test_sold_servers_break_even_before_kept_ones():
    """10,000 a month against 240,000 once: kept after 24 months, sold much earlier."""
    rent = rented(Holding(1, 10_000 / 730, 1, 36), ends=True)
    own = bought("owned", SERVER, 2, 36, utilisation=0.5, ends=True).ledger
    kept, sold = break_even_months(PaymentOption(own, owned=OwnedFleet(SERVER, 2, 0.5)), rent, 0.0)
    assert kept == 24
    saved = [10_000 * m - 240_000 + 240_000 * 0.4 ** (m / 36) for m in range(37)]
    assert sold == max((m + 1 for m, usd in enumerate(saved) if usd < 0), default=0)


def test_by_the_hour_is_cheaper_in_cash_alone_than_three_years_paid_ahead():
    """12 months of two at 10,000, against 36 paid ahead at 5,000 that go on to be used."""
    hourly = Holding(1, 10_000 / 730, 1, 12)
    ahead = Holding(1, 5_000 / 730, 1, 12, term_months=36, upfront_share=1.0)
    cash, counted = break_even_months(rented(hourly, months=12), rented(ahead, months=12), 0.0)
    assert cash == 0  # never more than 120,000, where 180,000 was paid at once
    assert counted is None  # the 180,000 are used up by 5,000 a month
    back = break_even_months(rented(ahead, months=12), rented(hourly, months=12), 0.0)
    assert back == (None, 0)


def test_where_the_need_ends_what_is_still_owed_is_counted():
    hourly = Holding(1, 10_000 / 730, 1, 12)
    monthly = Holding(1, 5_000 / 730, 1, 12, term_months=36)
    goes_on = break_even_months(rented(monthly, months=12), rented(hourly, months=12), 0.0)
    ends = break_even_months(
        rented(monthly, months=12, ends=True), rented(hourly, months=12, ends=True), 0.0
    )
    assert goes_on == (0, 0)
    assert ends == (0, None)  # 24 months at 5,000 are still to be paid


@given(
    price=st.floats(1, 100),
    other=st.floats(1, 100),
    share=st.floats(0, 1),
    term=st.sampled_from([0, 6, 12, 36]),
    start=st.integers(1, 12),
    ends=st.booleans(),
    rate=st.floats(0, 0.3),
)
def test_months_recounted_from_payments(price, other, share, term, start, ends, rate):
    """Paid so far less months paid ahead, month by month, from the definition alone."""
    months = 24
    held = months - start + 1
    mine = Holding(2, price, start, held, term_months=term, upfront_share=share if term else 0.0)
    base = Holding(1, other, 1, months)
    cash, counted = break_even_months(
        rented(mine, months=months, ends=ends), rented(base, months=months, ends=ends), rate
    )
    monthly, share = 2 * price * 730, mine.upfront_share
    signed = -(-held // term) * term if term else held

    def factor(m):
        return (1 + rate) ** (-m / 12)

    def paid(to):
        total = 0.0
        for m in range(start - 1, start - 1 + signed):  # month m + 1 of use
            if term and (m - start + 1) % term == 0 and m <= to:
                total += monthly * term * share * factor(m)
            if m + 1 <= to:
                total += monthly * (1 - share) * factor(m + 1)
        return total

    def ahead(m):
        used = max(0, m - (start - 1))
        begun = min(-(-signed // term), used // term + 1) * term if term and m >= start - 1 else 0
        return monthly * share * max(0, begun - used)

    def theirs(m):
        return sum(other * 730 * factor(k) for k in range(1, m + 1))

    saved = [theirs(m) - paid(m) for m in range(months + 1)]
    left = [s + ahead(m) * factor(m) for m, s in enumerate(saved)]
    if ends:
        left[-1] = theirs(months) - paid(months + signed)
    for found, values in ((cash, saved), (counted, left)):
        near = 1e-6 * max(1.0, *(abs(v) for v in values))
        if found is None:
            assert values[-1] < near
            continue
        assert all(v > -near for v in values[found:])
        assert found == 0 or values[found - 1] < near


def test_words_say_cash_and_what_is_left_by_themselves():
    catalog = load_catalog()
    three = build.node(term="3-year", usd_per_hour_each=8.0, upfront_share=1.0)
    plan = build.plan(build.scenario(horizon={"months": 24, "need": "continues"}), nodes=(three,))

    def by_the_hour(scenario):
        if scenario.prices.terms == ("1-year",):
            return build.plan(scenario, nodes=(build.node(term="1-year", usd_per_hour_each=9.0),))
        if scenario.prices.terms == ("on-demand",):
            return build.plan(scenario, nodes=(build.node(usd_per_hour_each=11.0),))
        return build.infeasible_plan(scenario)

    ways = purchases(plan, catalog, 0.08, by_the_hour)
    rows = {b.comparison: b for b in break_even_points(plan, ways)}
    assert rows["on-demand against the plan, cash alone"].at == "from the start"
    counted = rows["on-demand against the plan, with what is left"]
    assert counted.at == "never within 24 months"
    assert " more in present value" in counted.note
    year = rows["1-year against the plan, with what is left"]
    assert f"up to ${3 * 9 * 730 * 12:,.0f} is still owed" in year.note
    assert rows["owned against the plan, nothing sold"].note == "by cash alone"
    assert (
        "(30 % of the price after 36 months)"
        in rows["owned against the plan, servers sold then"].note
    )
