"""The command line on a bare machine: no home, no terminal, no UTF-8, narrow, any hash seed."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_files import SCENARIO

REPOSITORY = Path(__file__).parents[1]
SMALL = SCENARIO.replace("[l4, l40s]", "[l4], weights: [bf16], kv_cache: [bf16]").replace(
    "60ms", "80ms"
)


def planner(folder, *args, text=True, **environment):
    """The command in a process of its own, without a terminal."""
    kept = {
        k: v for k, v in os.environ.items() if k not in ("COLUMNS", "PYTHONUTF8", "MPLCONFIGDIR")
    }
    return subprocess.run(
        [sys.executable, "-m", "planner", *args],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(REPOSITORY), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=text,
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.yaml").write_text(SMALL)
    return tmp_path


def test_a_home_that_cannot_be_written(folder):
    home = folder / "home"
    home.mkdir(mode=0o500)
    done = planner(
        folder,
        "report",
        "mine.yaml",
        "--quick",
        "--verify",
        "none",
        "-o",
        "r.html",
        HOME=str(home),
        XDG_CACHE_HOME="/proc/none",
        XDG_CONFIG_HOME="/proc/none",
    )
    assert (done.returncode, done.stderr) == (0, "wrote r.html\n")
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_output_that_is_not_utf8(folder, encoding):
    done = planner(
        folder,
        "solve",
        "mine.yaml",
        "--verify",
        "none",
        text=False,
        LANG="C",
        LC_ALL="C",
        PYTHONIOENCODING=encoding,
        PYTHONUTF8="0",
    )
    assert done.returncode == 0, done.stderr
    assert b"internal error" not in done.stderr
    assert done.stdout.decode(encoding)


def test_files_are_utf8_whatever_the_locale(folder):
    (folder / "mine.yaml").write_text(f"{SMALL}name: größe\n", encoding="utf-8")
    done = planner(
        folder,
        "solve",
        "mine.yaml",
        "--verify",
        "none",
        "-o",
        "p.json",
        LANG="C",
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        PYTHONWARNDEFAULTENCODING="1",
    )
    assert done.returncode == 0, done.stderr
    assert "EncodingWarning" not in done.stderr or "/planner/" not in done.stderr
    assert "größe" in (folder / "p.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("columns", "widest"), [(None, 80), ("60", 60), ("120", 120)], ids=["piped", "60", "120"]
)
def test_tables_keep_to_the_width(folder, columns, widest):
    wish = {} if columns is None else {"COLUMNS": columns}
    for args in (
        ("solve", "mine.yaml", "--verify", "none"),
        ("explain", "mine.yaml", "--verify", "none"),
    ):
        done = planner(folder, *args, **wish)
        assert done.returncode == 0, done.stderr
        assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= widest
        assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_bytes_are_the_same_whatever_the_hash_seed(folder):
    seen = set()
    for seed in ("0", "1", "4242"):
        done = planner(folder, "solve", "mine.yaml", "--format", "json", PYTHONHASHSEED=seed)
        assert (done.returncode, done.stderr) == (0, "")
        seen.add("\n".join(line for line in done.stdout.splitlines() if not _of_the_run(line)))
    assert len(seen) == 1


def _of_the_run(line):
    return any(f'"{key}"' in line for key in ("duration_s", "solve_s", "created_at"))


ONLY_POSIX = {"fcntl", "resource", "termios", "pwd", "grp", "pty", "tty"}


def test_modules_of_one_system_are_imported_behind_a_guard():
    """macOS and Windows are not tested here; what they lack is never imported unasked."""
    found = []
    for path in sorted((REPOSITORY / "planner").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            found += [f"{path.name}: {n}" for n in names if n in ONLY_POSIX]
    assert found == []
