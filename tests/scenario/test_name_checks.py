"""What was meant by a name that the catalog does not know."""

from __future__ import annotations

import pytest

from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.scenario.name_checks import check_names
from planner.scenario.schema import Scenario


def suggested(catalog: Catalog, region: str) -> str:
    scenario = Scenario.model_validate(
        {
            "model": "gpt2",
            "rate": 1,
            "prompt_tokens": 10,
            "output_tokens": 10,
            "slo": {"ttft_p99": "2s"},
            "prices": {"regions": [region]},
        }
    )
    with pytest.raises(InputError) as error:
        check_names(scenario, catalog)
    return error.value.action or ""


def test_a_part_of_the_world_suggests_its_regions(catalog: Catalog) -> None:
    text = suggested(catalog, "eu")
    assert text.startswith("did you mean some of ")
    assert "eu-central-1" in text
    assert "europe-west1" in text
    assert "westus" not in text


def test_a_country_inside_a_name_suggests_it(catalog: Catalog) -> None:
    assert suggested(catalog, "Germany") == "did you mean some of germanynorth, germanywestcentral?"
    assert suggested(catalog, "tokyo") == "did you mean 'tokyo-japan-5'?"


def test_a_misspelt_region_suggests_the_nearest(catalog: Catalog) -> None:
    assert suggested(catalog, "us-eats-1") == "did you mean 'us-east-1'?"
