"""Decision regret: what a choice by predictions costs against the best measured one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from planner.accuracy.kernels.regret import MeasuredChoice, gpu_prices, regret
from planner.catalog.store import load_catalog


def option(
    name: str, tpot_ms: float, cost: float, predicted_ms: float, predicted_cost: float
) -> MeasuredChoice:
    return MeasuredChoice(name, tpot_ms / 1e3, cost, predicted_ms / 1e3, predicted_cost)


def test_choices_by_perfect_predictions_cost_nothing_more() -> None:
    options = [option("a", 9, 3.0, 9, 3.0), option("b", 9, 2.0, 9, 2.0)]
    found = regret("any", [options])
    assert found.decisions == 6
    assert (found.mean, found.median, found.p90) == (0.0, 0.0, 0.0)
    assert found.at_random == pytest.approx(0.25)


def test_a_wrong_order_costs_the_difference_as_measured() -> None:
    options = [option("a", 9, 3.0, 9, 1.0), option("b", 9, 2.0, 9, 2.0)]
    assert regret("any", [options]).median == pytest.approx(0.5)


def test_the_choice_pays_what_it_was_measured_to_cost_at_the_target() -> None:
    """Of the concurrencies of the choice, the cheapest that met the target as measured counts."""
    options = [
        option("a", 8, 4.0, 8, 4.0),
        option("a", 40, 1.0, 9, 1.0),
        option("b", 8, 2.0, 8, 2.0),
    ]
    # "a" is expected to cost 1 at 9 ms: below 40 ms it costs 4, and "b" 2; from 50 ms on it costs 1
    assert regret("any", [options]).p90 == pytest.approx(1.0)
    assert regret("any", [options]).median == pytest.approx(1.0)
    assert regret("any", [options]).missed == 0.0


def test_a_choice_that_missed_the_target_is_counted_apart() -> None:
    options = [
        option("a", 9, 3.0, 99, 3.0),
        option("b", 9, 2.0, 99, 2.0),
        option("c", 200, 1.0, 9, 1.0),
    ]
    found = regret("any", [options])
    assert found.missed == 1.0
    assert math.isnan(found.median)


def test_a_margin_that_lets_nothing_through_serves_nobody() -> None:
    options = [option("a", 9, 3.0, 9, 3.0), option("b", 9, 2.0, 9, 2.0)]
    assert regret("any", [[replace(o, margin=100.0) for o in options]]).unserved == 1.0


def test_every_option_has_the_margin_of_its_own_evidence() -> None:
    """The cheaper one is known less well: with its margin it takes 27 ms, which half of the targets allow."""
    options = [option("a", 9, 3.0, 9, 3.0), replace(option("b", 9, 2.0, 9, 2.0), margin=3.0)]
    found = regret("any", [options])
    assert (found.decisions, found.unserved, found.missed) == (6, 0.0, 0.0)
    assert found.mean == pytest.approx(0.25)


def test_one_configuration_alone_is_no_decision() -> None:
    assert regret("any", [[option("a", 9, 3.0, 9, 3.0)]]).decisions == 0


def test_prices_are_medians_over_providers() -> None:
    prices = gpu_prices(load_catalog())
    assert 1.5 < prices["h100-sxm-80gb"] < prices["b200-sxm-180gb"] < 12
