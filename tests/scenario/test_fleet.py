"""The fleet documents say what is wrong with them."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from planner.scenario.fleet import Buckets, Horizon, Load
from planner.scenario.schema import Scenario

BASE = {
    "model": "m",
    "rate": 1,
    "prompt_tokens": 10,
    "output_tokens": 10,
    "slo": {"ttft_p99": 1},
}


@pytest.mark.parametrize(
    ("document", "given", "text"),
    [
        (Load, {"hourly": [1.0] * 23}, "24 numbers"),
        (Load, {"hourly": [0.0] * 24}, "above 0"),
        (Load, {"hourly": [1.0] * 24, "series": "x"}, "not both"),
        (Load, {"workload": "w"}, "series"),
        (Load, {"peak_ratio": 0.5}, "greater than or equal to 1"),
        (Buckets, {}, "bounds"),
        (Buckets, {"prompt_tokens": [500, 500]}, "rise"),
        (Buckets, {"prompt_tokens": list(range(1, 40))}, "32 buckets"),
        (Horizon, {"months": 12, "stages": 5}, "divide"),
        (Horizon, {"lead_time_months": {"yearly": 1}}, "unknown term 'yearly'"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused(
    document: type[BaseModel], given: dict[str, object], text: str
) -> None:
    with pytest.raises(ValidationError, match=text):
        document.model_validate(given)


@pytest.mark.parametrize(
    "given",
    [
        {"failures": {"racks": 1}},
        {"spot": {"max_share": 1.5}},
        {"existing": [{"gpu": "l4", "nodes": 0}]},
        {"limits": {"quotas": [{"max_gpus": -1}]}},
        {"sharing": {"gpu": [1.0]}},
        {"serve": "some"},
        {"limits": {"carbon": {"max_kg_per_hour": 0}}},
    ],
)
def test_fleet_fields_are_strict(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Scenario.model_validate({**BASE, **given})


def test_a_scenario_without_fleet_fields_asks_for_none_of_it() -> None:
    scenario = Scenario.model_validate(BASE)
    assert scenario.serve == "all"
    assert scenario.horizon.stages == 1
    assert not any(scenario.failures.model_dump().values())
    assert scenario.existing == ()
    assert scenario.services[0].load is None


def test_it_survives_json() -> None:
    scenario = Scenario.model_validate(
        {
            **BASE,
            "load": {"hourly": [1.0] * 24},
            "buckets": {"prompt_tokens": [100]},
            "horizon": {"months": 12, "stages": 3, "lead_time_months": {"1-year": 2}},
            "failures": {"zones": 1},
            "existing": [{"gpu": "l4", "nodes": 2}],
            "limits": {"quotas": [{"max_gpus": 8, "gpu": "l4"}]},
        }
    )
    assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario


def test_twelve_months_and_a_year_are_one_term():
    def stated(year, three):
        return {
            "model": "Qwen/Qwen3-8B",
            "rate": 1,
            "prompt_tokens": 100,
            "output_tokens": 100,
            "slo": {"ttft_p99": 1},
            "prices": {
                "terms": ["6-month", year, three],
                "discounts": {year: 0.1},
                "factors": {three: 0.9},
            },
            "horizon": {"need": "continues", "lead_time_months": {three: 6}},
            "limits": {"quotas": [{"max_gpus": 8, "term": year}]},
        }

    by_months = Scenario.model_validate(stated("12-month", "36-month"))
    by_years = Scenario.model_validate(stated("1-year", "3-year"))
    assert by_months == by_years
    assert by_months.prices.terms == ("6-month", "1-year", "3-year")
