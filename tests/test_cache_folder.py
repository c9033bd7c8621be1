"""What is kept between runs: found again whole, never half written, never trusted when it may be wrong."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from planner import cache_folder

KEY = cache_folder.key_of(("a", "b"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLANNER_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_a_document_is_found_again(folder: Path) -> None:
    document = {"rates": [1.0, 0.1 + 0.2, 1e-300], "why": "zu groß", "miss": None}
    assert cache_folder.load("sized", KEY) is None
    cache_folder.save("sized", KEY, document)
    assert cache_folder.load("sized", KEY) == document
    assert [p.name for p in folder.iterdir()] == [f"sized-{KEY}.json.z"]


def test_keys_tell_where_one_text_ends() -> None:
    assert cache_folder.key_of(("ab", "c")) != cache_folder.key_of(("a", "bc"))


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, b"not a document at all, nowhere near one"])
def test_a_damaged_document_counts_as_absent(folder: Path, damage: bytes) -> None:
    cache_folder.save("sized", KEY, [1, 2])
    (folder / f"sized-{KEY}.json.z").write_bytes(damage)
    assert cache_folder.load("sized", KEY) is None


def test_a_document_cut_short_or_changed_counts_as_absent(folder: Path) -> None:
    cache_folder.save("sized", KEY, list(range(1000)))
    file = folder / f"sized-{KEY}.json.z"
    whole = file.read_bytes()
    for wrong in (whole[:-7], whole[:32], bytes([whole[0] ^ 1]) + whole[1:]):
        file.write_bytes(wrong)
        assert cache_folder.load("sized", KEY) is None


def test_a_document_that_unpacks_to_too_much_counts_as_absent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_folder.save("sized", KEY, ["x" * 100_000])
    monkeypatch.setattr(cache_folder, "MOST_DOCUMENT_BYTES", 1_000)
    assert cache_folder.load("sized", KEY) is None


@pytest.mark.skipif(os.name != "posix", reason="modes of folders")
def test_a_folder_others_may_write_to_is_not_used(folder: Path) -> None:
    cache_folder.save("sized", KEY, [1])
    folder.chmod(0o777)
    assert cache_folder.load("sized", KEY) is None
    cache_folder.save("sized", "other", [1])
    assert not (folder / "sized-other.json.z").exists()


def test_nothing_happens_where_the_folder_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLANNER_CACHE", str(tmp_path / "file" / "below"))
    cache_folder.save("sized", KEY, [1])
    assert cache_folder.load("sized", KEY) is None


def test_off_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANNER_CACHE", "off")
    assert cache_folder.cache_folder() is None
    cache_folder.save("sized", KEY, [1])
    assert cache_folder.load("sized", KEY) is None


def test_the_platforms_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLANNER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder.cache_folder() == tmp_path / "llm-fleet-planner"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    found = cache_folder.cache_folder()
    assert found is not None
    assert found.is_absolute()


def test_what_was_read_longest_ago_is_deleted_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_folder, "MOST_BYTES", 8_000)
    for k in range(4):
        cache_folder.save("sized", f"k{k}", [os.urandom(1000).hex()])
        file = folder / f"sized-k{k}.json.z"
        os.utime(file, (1000 + k, 1000 + k))
    assert cache_folder.load("sized", "k0") is not None  # read now: no longer the oldest
    for k in range(4, 7):
        cache_folder.save("sized", f"k{k}", [os.urandom(1000).hex()])
    left = sum(p.stat().st_size for p in folder.iterdir())
    assert left <= 8_000
    assert cache_folder.load("sized", "k0") is not None
    assert cache_folder.load("sized", "k1") is None


def test_readers_see_all_of_a_document_or_none(folder: Path) -> None:
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            found = cache_folder.load("sized", KEY)
            if found is not None and (not isinstance(found, list) or len(set(found)) != 1):
                wrong.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(200):
        cache_folder.save("sized", KEY, [k] * 2000)
    done.set()
    reader.join()
    assert not wrong


def test_another_program_is_recognised_by_its_files() -> None:
    code = "from planner import cache_folder as c; print(c.program())"
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert first.stdout == second.stdout
    assert len(first.stdout.strip()) == 64


def test_no_document_holds_code(folder: Path) -> None:
    cache_folder.save("sized", KEY, {"a": [1, None, "x"]})
    import zlib

    raw = (folder / f"sized-{KEY}.json.z").read_bytes()
    assert json.loads(zlib.decompress(raw[32:])) == {"a": [1, None, "x"]}
