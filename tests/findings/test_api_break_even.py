import plan_builder as build
import pytest

from planner.findings.api_break_even import resized_against_api
from planner.findings.schema import Purchase
from planner.units import HOURS_PER_MONTH

PLAN = build.plan()  # 60 $/h at 50 requests/s


def api(usd_per_hour):
    return Purchase("API", "an API", usd_per_month=usd_per_hour * HOURS_PER_MONTH)


@pytest.mark.parametrize(
    ("api_usd_per_hour", "at"),
    [
        (100.0, "25 requests/s"),  # 2 $/h per request/s: 40 <= 50, but 20 > 20 * 0.8 at 10/s
        (61.0, "50 requests/s"),
        (30.0, "not up to 100 requests/s"),
        (500.0, "at or below 10 requests/s"),
    ],
)
def test_break_even_is_the_lowest_rate_from_which_the_fleet_stays_cheaper(api_usd_per_hour, at):
    costs = {10.0: 22.0, 25.0: 40.0, 100.0: 110.0}
    text = resized_against_api(PLAN, [api(api_usd_per_hour)], costs)
    assert text.at == at
    assert "10 to 100 requests/s" in text.note


def test_a_rate_that_no_fleet_serves_is_never_cheaper():
    text = resized_against_api(PLAN, [api(1000.0)], {100.0: None})
    assert text.at == "not up to 100 requests/s"


def test_without_an_api_price_there_is_nothing_to_compare():
    assert resized_against_api(PLAN, [Purchase("API", "no API price")], {}) is None
