"""Latencies in sentences are in the unit that a person would write."""

import pytest

from planner.units import duration, exact


@pytest.mark.parametrize(
    ("seconds", "short", "four_digits"),
    [
        (5e-5, "0.05 ms", "0.05 ms"),
        (0.0022294, "2.23 ms", "2.229 ms"),
        (0.65958, "660 ms", "659.6 ms"),
        (0.9999, "1 s", "999.9 ms"),
        (1.0, "1 s", "1 s"),
        (36.814, "36.8 s", "36.81 s"),
        (1250.4, "1,250 s", "1,250 s"),
    ],
)
def test_a_duration_in_a_sentence(seconds: float, short: str, four_digits: str) -> None:
    assert duration(seconds) == short
    assert exact(seconds) == four_digits
