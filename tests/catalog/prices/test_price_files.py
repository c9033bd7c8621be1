"""A user's price file is read like the catalog's own, and every wrong cell is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.catalog.offer import Term
from planner.catalog.offer_rows import read_offers
from planner.catalog.store import Catalog, load_catalog
from planner.errors import CatalogError, InputError

HEADER = "provider,region,instance_type,gpu,gpu_count,term,usd_per_hour,as_of,source\n"
GOOD = "acme,eu-1,big,h100-sxm-80gb,8,on-demand,20.5,2026-05-01,quote\n"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def written(folder: Path, text: str) -> Path:
    path = folder / "prices.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file(tmp_path: Path, catalog: Catalog) -> None:
    (offer,) = catalog.read_prices(
        written(tmp_path, HEADER + GOOD.replace("h100-sxm-80gb", "H100"))
    )
    assert offer.gpu == "h100-sxm-80gb"
    assert offer.term is Term.ON_DEMAND
    assert offer.usd_per_gpu_hour == pytest.approx(2.5625)
    assert offer.confidence == "medium"
    assert not offer.government


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("usd_per_hour", "call us", "a number"),
        ("usd_per_hour", "nan", "a finite number"),
        ("usd_per_hour", "inf", "a finite number"),
        ("usd_per_hour", "-3", "a number above 0"),
        ("usd_per_hour", "0", "a number above 0"),
        ("usd_per_hour", "1e9", "a number of at most 100000"),
        ("usd_per_hour", "", "a value"),
        ("gpu_count", "0.5", "a whole number"),
        ("gpu_count", "0", "a number above 0"),
        ("term", "forever", "'on-demand'"),
        ("as_of", "May 2026", "a date written YYYY-MM-DD"),
        ("as_of", "2026-02-30", "a date written YYYY-MM-DD"),
        ("as_of", "20260501", "a date written YYYY-MM-DD"),
        ("gpu", "h900", "planner catalog gpus"),
    ],
)
def test_a_wrong_cell_gives_file_line_and_column(
    tmp_path: Path, catalog: Catalog, column: str, value: str, allowed: str
) -> None:
    cells = dict(zip(HEADER.strip().split(","), GOOD.strip().split(","), strict=True))
    cells |= {column: value, "region": "eu-2"}
    path = written(tmp_path, HEADER + GOOD + ",".join(cells.values()) + "\n")
    with pytest.raises(InputError) as caught:
        catalog.read_prices(path)
    assert caught.value.where == f"{path}:3:{column}"
    assert allowed in str(caught.value)
    assert caught.value.found == (value or "(empty)")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        (HEADER.replace("gpu_count", "gpus") + GOOD, "unknown column"),
        (HEADER.replace(",source", "") + GOOD.replace(",quote", ""), "a column is missing"),
        (HEADER.replace("region", "provider") + GOOD, "named twice"),
        (HEADER + GOOD.replace(",quote", ""), "one cell per column"),
        (HEADER + GOOD + GOOD, "listed twice"),
        (HEADER + '"acme' + GOOD, "not a CSV file"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_offers(written(tmp_path, text), InputError)


def test_binary_missing_and_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    for wrong in (path, tmp_path / "absent.csv", tmp_path):
        with pytest.raises(InputError):
            read_offers(wrong, InputError)


def test_shipped_data_raises_a_catalog_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError):
        read_offers(written(tmp_path, HEADER + GOOD.replace("20.5", "much")))
