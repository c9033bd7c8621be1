"""A price file from items of gpuhunt; ``gpuhunt_items_by_hand.json`` has their form, not a recording."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from planner.catalog.refresh import PriceItem, price_file, read_items, refreshed
from planner.catalog.store import load_catalog
from planner.cli.main import main
from planner.errors import InputError

ITEMS = Path(__file__).parent / "gpuhunt_items_by_hand.json"


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture(scope="module")
def found(catalog):
    return refreshed(read_items(ITEMS), catalog, "2026-11-30", "gpuhunt 0.1.34")


def test_items_become_offers_in_the_catalogs_names(found):
    offers = {o.key: o for o in found.offers}
    assert set(offers) == {
        "aws/us-east-1/p5.48xlarge/on-demand",
        "aws/us-east-1/p5.48xlarge/spot",
        "aws/us-gov-east-1/p5.48xlarge/on-demand",
        "hotaisle/us-michigan-1/8x MI300X/on-demand",
        "lambda/us-west-1/gpu_1x_a100/on-demand",
    }
    assert offers["aws/us-east-1/p5.48xlarge/on-demand"].gpu == "h100-sxm-80gb"
    assert offers["lambda/us-west-1/gpu_1x_a100/on-demand"].gpu == "a100-sxm-40gb"
    assert offers["hotaisle/us-michigan-1/8x MI300X/on-demand"].gpu == "mi300x"
    assert offers["aws/us-gov-east-1/p5.48xlarge/on-demand"].government
    assert offers["aws/us-east-1/p5.48xlarge/on-demand"].tier == "hyperscaler"


def test_of_several_prices_for_one_offer_the_cheapest_is_kept(found):
    spot = next(o for o in found.offers if o.term.value == "spot")
    assert spot.usd_per_hour == 20.5


def test_what_cannot_be_named_is_left_out_and_counted(found):
    assert found.left_out == {"unknown GPU H100 of 20 GB": 1, "no GPU": 1}


def test_the_file_is_one_that_a_scenario_reads(found, catalog, tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text(price_file(found.offers), encoding="utf-8")
    read = catalog.read_prices(path)  # with what is known of each type's network
    assert tuple(replace(o, network_gbps=None) for o in read) == found.offers


def test_the_command_writes_a_price_file(tmp_path, capsys):
    out = tmp_path / "prices.csv"
    call = ["catalog", "prices", "--refresh", "--from", str(ITEMS), "-o", str(out)]
    assert main(call) == 0
    assert "5 offers" in capsys.readouterr().err
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert {r["provider"] for r in rows} == {"aws", "hotaisle", "lambda"}
    assert all(r["as_of"] and "gpuhunt" in r["source"] for r in rows)


def test_without_gpuhunt_the_extra_is_named(capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gpuhunt", None)
    assert main(["catalog", "prices", "--refresh"]) != 0
    assert "llm-fleet-planner[prices]" in capsys.readouterr().err


def test_prices_are_listed_by_provider_with_their_dates(capsys):
    assert main(["catalog", "prices", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {"aws", "azure", "gcp"} <= {r["provider"] for r in rows}
    assert all(r["oldest"] <= r["newest"] for r in rows)


@pytest.mark.parametrize("text", ["{", '[{"provider": "aws"}]', '[{"provider": 3}]'])
def test_a_file_of_something_else_is_refused(text, tmp_path):
    path = tmp_path / "items.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError):
        read_items(path)


def test_the_library_has_every_field_that_is_read():
    gpuhunt = pytest.importorskip("gpuhunt")
    fields = set(gpuhunt.CatalogItem.__dataclass_fields__)
    assert set(PriceItem.model_fields) <= fields
