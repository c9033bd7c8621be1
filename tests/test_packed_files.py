"""Workbooks, archives and text in other encodings, wherever text is expected."""

import gzip
import io
import zipfile

import pytest

from planner.cli.main import main

TEXT = "arrival_s,prompt_tokens,output_tokens\n0,100,10\n1,200,20\n"


def _zip(member):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, TEXT)
    return buffer.getvalue()


FILES = {
    "archive": (_zip("plain.csv"), "a ZIP archive", "unpack it"),
    "workbook": (_zip("xl/workbook.xml"), "an Excel workbook", "save the sheet as CSV UTF-8"),
    "gzip": (gzip.compress(TEXT.encode()), "compressed with gzip", "gunzip"),
    "latin": ("prix,né\n".encode("latin-1"), "byte 0xe9", "save the file as UTF-8"),
}
READERS = {
    "solve": ("solve",),
    "verify": ("verify",),
    "trace": ("trace", "describe"),
    "accuracy": ("accuracy",),
    "import": ("import",),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_text_is_named_with_what_to_do(reader, kind, tmp_path, capsys):
    data, what, action = FILES[kind]
    path = tmp_path / "given.csv"
    path.write_bytes(data)
    assert main([*READERS[reader], str(path)]) == 2
    said = capsys.readouterr().err
    assert "is not UTF-8 text" in said
    assert what in said
    assert action in said


@pytest.mark.parametrize("order", ["utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("reader", ["solve", "trace", "accuracy", "import"])
def test_utf_32_is_not_called_utf_16(reader, order, tmp_path, capsys):
    path = tmp_path / "given.csv"
    path.write_bytes(f"\ufeff{TEXT}".encode(order))
    assert main([*READERS[reader], str(path)]) == 2
    said = capsys.readouterr().err
    assert "is not UTF-8 text" in said
    assert "text in UTF-32" in said
    assert "save the file as UTF-8" in said


def test_a_column_named_twice_is_refused(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("arrival_s,prompt_tokens,prompt_tokens,output_tokens\n0,1,2,3\n1,1,2,3\n")
    assert main(["trace", "describe", str(path)]) == 2
    assert "a column is named twice" in capsys.readouterr().err


def test_two_requests_a_second_apart_are_one_a_second(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text(TEXT)
    assert main(["trace", "describe", str(path)]) == 0
    assert "2 requests over 1 s, 1 req/s on average" in capsys.readouterr().out


def test_a_field_within_a_value_says_how_to_set_the_whole(capsys):
    assert main(["validate", "llama70b_qps50", "--set", "prompt_tokens.trace=azure_code_2023"]) == 2
    assert "set the whole of it: prompt_tokens='{trace: VALUE}'" in capsys.readouterr().err
