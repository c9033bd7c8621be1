"""Whatever a file holds, the answer is rows or one clear message: never another exception."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from planner.catalog.engine import version_key
from planner.catalog.offer_rows import OfferRow, read_offers
from planner.catalog.store import load_catalog
from planner.catalog.tables import read_yaml
from planner.errors import InputError

COLUMNS = list(OfferRow.model_fields)
GOOD = dict(
    zip(
        COLUMNS,
        (
            "acme",
            "eu-1",
            "big",
            "h100",
            "8",
            "spot",
            "20.5",
            "2026-05-01",
            "q",
            "low",
            "false",
            "",
            "",
            "cloud",
            "SE",
            "",
            "2027-01-31",
            "1",
            "64",
            "3200",
        ),
        strict=True,
    )
)
CATALOG = load_catalog()
CELL = st.one_of(
    st.text(max_size=12),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(["", "nan", "1e400", "-1", "0x10", "1_0", "=1+1", "yes", "９", "2026-13-40"]),
)


def answer(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        path.write_bytes(content)
        try:
            if suffix == ".yaml":
                read_yaml(path, InputError)
            else:
                for offer in CATALOG.read_prices(path):
                    assert 0 < offer.usd_per_hour <= 100_000
                    assert 1 <= offer.gpu_count <= 1024
        except InputError as stated:
            if str(path) not in str(stated):
                raise AssertionError("the message does not name the file") from stated


@given(st.binary(max_size=300))
def test_any_bytes_as_a_price_file(content: bytes) -> None:
    answer(content, ".csv")


@given(st.binary(max_size=300))
def test_any_bytes_as_yaml(content: bytes) -> None:
    answer(content, ".yaml")


@given(st.text(alphabet="ab:-[]{}&*!?|>'\"\n #%@`,0.", max_size=80))
def test_any_markup_as_yaml(text: str) -> None:
    answer(text.encode(), ".yaml")


@given(st.dictionaries(st.sampled_from(COLUMNS), CELL, min_size=1, max_size=3))
def test_any_cell_in_a_price_file(changes: dict[str, str]) -> None:
    cells = [(GOOD | changes)[column].replace('"', '""') for column in COLUMNS]
    line = ",".join(f'"{cell}"' for cell in cells)
    answer(f"{','.join(COLUMNS)}\n{line}\n".encode("utf-8", "surrogatepass"), ".csv")


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4), st.sampled_from(["", "rc1", ".post2"]))
def test_versions_order_by_their_numbers(numbers: list[int], suffix: str) -> None:
    key = version_key(".".join(map(str, numbers)) + suffix)
    assert key == version_key(".".join(map(str, [*numbers, 0])))
    assert version_key(".".join(map(str, [*numbers, 1]))) > key


def test_the_good_row_is_good(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(f"{','.join(COLUMNS)}\n{','.join(GOOD.values())}\n")
    assert len(read_offers(path, InputError)) == 1
