from __future__ import annotations

from pathlib import Path

import pytest

from planner.accuracy.points import read_points
from planner.errors import InputError

HEADER = (
    "model,gpu,engine,weights,tensor_parallel,prompt_tokens,output_tokens,concurrency,"
    "ttft_ms,tpot_ms,gpus,anything"
)
GOOD = "openai/gpt-oss-120b,h200-sxm-141gb,vllm,mxfp4,1,1024,1024,8,105.9,9.06,1,ignored"


def table(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "points.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def test_a_good_row_and_its_extra_column(tmp_path: Path) -> None:
    read = read_points(table(tmp_path, GOOD))
    (row,) = read.rows
    assert row.error is None
    assert row.point is not None
    assert row.point.tpot_ms == 9.06
    assert row.cells["anything"] == "ignored"
    assert read.warnings == ("not read: column anything",)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("105.9", "0", "ttft_ms"),
        ("9.06", "-1", "tpot_ms"),
        ("9.06", "nan", "finite"),
        ("9.06", "fast", "expected a number"),
        (",8,", ",0,", "concurrency"),
        (",8,", ",2.5,", "concurrency"),
        (",1,ignored", ",4,ignored", "gpus is 4"),
        (",1024,8,", ",1,8,", "output_tokens is 1"),
        ("openai/gpt-oss-120b", "", "model is empty"),
    ],
)
def test_a_bad_row_is_named_and_the_rest_is_kept(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    read = read_points(table(tmp_path, GOOD, GOOD.replace(old, new, 1)))
    assert len(read.points) == 1
    bad = read.rows[1]
    assert bad.line == 3
    assert bad.error is not None
    assert said in bad.error


def test_seconds_in_a_column_of_milliseconds_are_suspected_aloud(tmp_path: Path) -> None:
    read = read_points(table(tmp_path, GOOD, GOOD.replace("9.06", "0.00906")))
    assert any("seconds" in warning for warning in read.warnings)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing column: tpot_ms"):
        read_points(table(tmp_path, GOOD, header=HEADER.replace("tpot_ms", "tpot")))


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows"):
        read_points(table(tmp_path))


def test_ranks_of_attention_data_parallelism_may_be_counted_in_tensor_parallel(
    tmp_path: Path,
) -> None:
    header = HEADER.replace("anything", "data_parallel")
    row = "m,h200-sxm-141gb,sglang,fp8,8,1024,1024,8,105.9,9.06,8,8"
    (point,) = read_points(table(tmp_path, row, header=header)).points
    assert (point.tensor_parallel, point.data_parallel, point.gpus) == (1, 8, 8)


def test_a_row_with_more_cells_than_columns_is_not_read_under_shifted_columns(
    tmp_path: Path,
) -> None:
    """``6,2`` without quotes is two cells: TPOT was read as 6 and what follows left out."""
    read = read_points(table(tmp_path, GOOD.replace("9.06", "9,06"), GOOD + ",,"))
    assert read.rows[0].error is not None
    assert "1 cell more than the header has columns" in read.rows[0].error
    assert read.rows[1].point is not None  # a spreadsheet's empty cells


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_blank_lines_before_the_header_and_any_separator(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "points.csv"
    path.write_text("\n\n" + "\n".join((HEADER, GOOD)).replace(",", separator) + "\n")
    (row,) = read_points(path).rows
    assert row.point is not None
    assert (row.line, row.point.tpot_ms) == (4, 9.06)
