"""A duration on the command line without a unit is read as seconds, and said so everywhere."""

from __future__ import annotations

import warnings

import pytest

from planner.cli.main import main
from planner.comparison.sweeps import axis_named, read_values
from planner.errors import AmbiguousNumber
from planner.units import unit_missing


def test_what_a_missing_unit_is_read_as():
    assert unit_missing("5") == (
        "5 without a unit is read as 5 seconds; write 5s, or 5ms for milliseconds"
    )
    assert [unit_missing(text) for text in ("5s", "5 ms", "0", "fast")] == [""] * 4


@pytest.mark.parametrize("name", ["ttft", "tpot", "e2e"])
def test_a_range_of_targets_without_units_is_warned_of(name):
    with pytest.warns(AmbiguousNumber) as caught:
        values = read_values(axis_named(name), "5..50", 3)
    assert values == (5.0, 27.5, 50.0)
    assert [str(w.message) for w in caught] == [
        f"--{name} 5..50: {n} without a unit is read as {n} seconds; write {n}s, or {n}ms for milliseconds"
        for n in (5, 50)
    ]


def test_what_has_a_unit_or_is_no_duration_is_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_values(axis_named("tpot"), "5ms..50ms", 2) == (0.005, 0.05)
        assert read_values(axis_named("rate"), "5..50", 2) == (5.0, 50.0)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["simulate", "none.yaml", "--duration", "5"], "--duration"),
        (["simulate", "none.yaml", "--scale", "5:2"], "--scale"),
        (["autoscale", "none.json", "--start-up", "5"], "--start-up"),
    ],
)
def test_every_option_that_takes_a_duration_warns(words, option, capsys):
    main(words)
    said = " ".join(capsys.readouterr().err.split())
    assert f"warning: {option}: 5 without a unit is read as 5 seconds" in said
