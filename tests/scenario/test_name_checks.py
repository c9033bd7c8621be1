"""What was meant by a name that the catalog does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.scenario.name_checks import check_names
from planner.scenario.reader import checked
from planner.scenario.schema import Scenario
from planner.scenario.text.yaml_source import parse_source


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


def test_a_company_means_its_cloud(catalog: Catalog) -> None:
    text = (
        "model: gpt2\nrate: 1\nprompt_tokens: 10\noutput_tokens: 10\nslo: {ttft_p99: 2s}\n"
        "prices: {providers: [Amazon, google, microsoft, aws], discounts: {amazon: 0.1}}\n"
        "limits: {quotas: [{provider: oracle, max_gpus: 8}]}\n"
    )
    source = parse_source(text, "chat.yaml")
    scenario = checked(source, Path(), default_name="chat", catalog=catalog)
    assert scenario.prices.providers == ("aws", "gcp", "azure")
    assert scenario.prices.discounts == {"aws": 0.1}
    assert scenario.limits.quotas[0].provider == "oci"


def test_every_other_name_of_a_provider_is_of_one_with_offers(catalog: Catalog) -> None:
    offered = {offer.provider for offer in catalog.offers()}
    aliases = catalog.provider_aliases()
    assert {row.provider for row in aliases} <= offered
    assert not {row.alias for row in aliases} & offered
