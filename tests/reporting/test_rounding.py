import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.reporting import rounding as r

WRITERS = (r.usd, r.usd_per_hour, r.seconds, r.qps, r.share, r.gib, r.count, r.significant)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("unknown", [None, math.nan, math.inf])
def test_unknown_is_a_dash_never_zero(write, unknown):
    assert write(unknown) == "-"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r.usd(0), "$0.00"),
        (r.usd(0.0123456), "$0.0123"),
        (r.usd(0.9996), "$1.00"),
        (r.usd(36.48), "$36.48"),
        (r.usd(1234.5), "$1,234.50"),
        (r.usd(26630.4), "$26,630"),
        (r.usd(-36.48), "-$36.48"),
        (r.usd_per_hour(36.48), "$36.48/h"),
        (r.seconds(0), "0 s"),
        (r.seconds(0.00034), "340 µs"),
        (r.seconds(0.0342), "34.2 ms"),
        (r.seconds(0.99996), "1 s"),
        (r.seconds(1.854), "1.85 s"),
        (r.seconds(120), "120 s"),
        (r.seconds(720), "12 min"),
        (r.seconds(35_000), "583 min"),
        (r.seconds(86_400), "24 h"),
        (r.seconds(45_000), "12.5 h"),
        (r.qps(50), "50 req/s"),
        (r.qps(3.6199), "3.62 req/s"),
        (r.share(0.873), "87 %"),
        (r.share(0.004), "0.4 %"),
        (r.share(0), "0 %"),
        (r.share(3e-12), "0 %"),
        (r.share(0.00012), "0.01 %"),
        (r.signed_share(0.12), "+12 %"),
        (r.signed_share(1e-12), "0 %"),
        (r.gib(67.3 * 2**30), "67.3 GiB"),
        (r.count(24), "24"),
        (r.count(131072), "131,072"),
        (r.count(37.42), "37.4"),
        (r.significant(0.034211), "0.0342"),
        (r.significant(123456), "123,456"),
        (r.interval(1.6, 2.1), "1.6 s to 2.1 s"),
        (r.interval(1.6, 2.1, level=0.8), "1.6 s to 2.1 s (80 %)"),
        (r.interval(None, 2.1), "-"),
        (r.relative(100, 112), "+12 %"),
        (r.relative(100, 99.6), "-0.4 %"),
        (r.relative(0, 5), "-"),
        (r.change(100, 112), "100 -> 112 (+12 %)"),
        (r.change(36.48, 40, r.usd), "$36.48 -> $40.00 (+9.6 %)"),
        (r.change(None, 5, r.count), "- -> 5"),
        (r.change(5, 5, r.count), "5 -> 5"),
    ],
)
def test_how_numbers_are_written(text, expected):
    assert text == expected


@given(st.floats(1e-6, 1e12))
def test_three_significant_digits_are_never_lost(value):
    written = float(r.significant(value).replace(",", ""))
    assert written == pytest.approx(value, rel=5.1e-3)
    assert "e" not in r.significant(value)


@given(st.floats(1e-6, 1e9))
def test_money_is_within_half_a_percent(value):
    assert float(r.usd(value)[1:].replace(",", "")) == pytest.approx(value, rel=5.1e-3)


@given(st.floats(1e-6, 599))
def test_times_parse_back(value):
    number, unit = r.seconds(value).split(" ")
    factor = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    assert float(number) * factor == pytest.approx(value, rel=5.1e-3)
