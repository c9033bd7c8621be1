"""What macOS and Windows differ in, as far as Linux can tell: names of files, calls, folders, line ends.

Neither system runs here; docs/reference/stability.md says so.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest
from bad_inputs import PRICES, SCENARIO, TRACE

from planner import cache_folder
from planner.accuracy.points import read_points
from planner.batches.ledger import Ledger
from planner.catalog.offer_rows import read_offers
from planner.deploy.cluster.names import dns_label
from planner.errors import InputError
from planner.scenario.text.yaml_source import parse_source
from planner.workload.trace import read_trace

REPOSITORY = Path(__file__).parents[1]
RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
FORBIDDEN = set('<>:"|?*\\') | {chr(n) for n in range(32)}
ONLY_POSIX = {
    "fork", "forkpty", "geteuid", "getuid", "getgid", "getpgid", "killpg", "setsid", "setpgid",
    "sched_getaffinity", "sched_setaffinity", "uname", "getloadavg", "mkfifo", "mknod", "chown",
    "chroot", "pread", "pwrite", "O_DIRECTORY", "O_CLOEXEC", "O_NONBLOCK", "O_SYNC", "nice",
    "statvfs", "fdatasync", "SIGKILL", "SIGHUP", "SIGALRM", "SIGQUIT", "SIGUSR1", "SIGUSR2",
    "SIGPIPE", "alarm", "setitimer", "pthread_sigmask", "sigwait",
}  # fmt: skip
GUARDS = ("os.name", "sys.platform", "AttributeError", "hasattr", "getattr")


def tracked() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a checkout")
    return done.stdout.splitlines()


def windows_refuses(path: str) -> bool:
    return any(
        part.partition(".")[0].lower() in RESERVED
        or FORBIDDEN & set(part)
        or part != part.rstrip(". ")
        for part in path.split("/")
    )


def test_every_file_has_a_name_that_all_systems_take() -> None:
    names = tracked()
    assert [name for name in names if windows_refuses(name)] == []
    assert len({name.lower() for name in names}) == len(
        names
    )  # and none that differs in case alone
    assert max(map(len, names)) < 150  # of the 260 that Windows takes by itself


def functions_with_posix_calls(tree: ast.Module, text: str) -> list[str]:
    """Functions that use what POSIX alone has, without a word of a guard."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            uses = {
                n.attr
                for n in ast.walk(node)
                if isinstance(n, ast.Attribute)
                and n.attr in ONLY_POSIX
                and isinstance(n.value, ast.Name)
                and n.value.id in ("os", "signal", "posix")
            }
            source = ast.get_source_segment(text, node) or ""
            if uses and not any(guard in source for guard in GUARDS):
                found.append(f"{node.name}: {', '.join(sorted(uses))}")
    return found


def test_calls_of_one_system_are_behind_a_guard() -> None:
    found = []
    for path in sorted((REPOSITORY / "planner").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.name}, {f}" for f in functions_with_posix_calls(ast.parse(text), text)]
    assert found == []


def test_files_are_opened_with_an_encoding() -> None:
    """Windows takes a code page of its own where none is stated."""
    found = []
    for path in sorted((REPOSITORY / "planner").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name not in ("open", "read_text", "write_text"):
                continue
            owner = getattr(getattr(node.func, "value", None), "id", "")
            modes = [
                a.value
                for a in (*node.args, *(k.value for k in node.keywords if k.arg == "mode"))
                if isinstance(a, ast.Constant) and isinstance(a.value, str)
            ]
            stated = any(k.arg == "encoding" for k in node.keywords)
            texts = name != "open" or (
                owner not in ("os", "webbrowser", "Session") and not any("b" in m for m in modes)
            )
            own = name == "read_text" and isinstance(node.func, ast.Name)  # the catalog's reader
            if texts and not stated and not own:
                found.append(f"{path.relative_to(REPOSITORY)}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize("name", ["con", "AUX", "a:b", "x\\y", "nul.", "größe", "a*b?", "  "])
def test_names_of_services_become_names_of_files(name: str) -> None:
    file = f"serve-{dns_label(name)}.sh"
    assert not windows_refuses(file)
    assert PureWindowsPath(file).name == file


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("darwin", {}, "Library/Caches/llm-fleet-planner"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/llm-fleet-planner"),
        ("win32", {}, ".cache/llm-fleet-planner"),
        ("linux", {"LOCALAPPDATA": "/local"}, ".cache/llm-fleet-planner"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/llm-fleet-planner"),
    ],
)
def test_where_each_system_keeps_what_can_be_made_again(
    platform: str,
    environment: dict[str, str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in (cache_folder.VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder.cache_folder() == tmp_path / expected


def test_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    def crlf(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(text.replace("\n", "\r\n").encode())
        return path

    assert parse_source(SCENARIO.replace("\n", "\r\n"), "my.yaml").data["rate"] == 5
    assert len(read_trace(str(crlf("t.csv", TRACE)))) == 20
    assert len(list(read_offers(crlf("p.csv", PRICES), InputError))) == 2
    points = (
        "model,gpu,engine,weights,tp,isl,osl,concurrency,tpot_ms\nm,h100,vllm,bf16,1,9,9,1,9.5\n"
    )
    (row,) = read_points(crlf("points.csv", points)).rows
    assert row.cells["tpot_ms"] == "9.5"


def test_rows_of_a_batch_end_in_one_byte(tmp_path: Path) -> None:
    with Ledger(tmp_path, resume=False) as ledger:
        ledger.append({"id": "a", "key": "k", "status": "ok"})
    assert (tmp_path / "rows.jsonl").read_bytes().count(b"\r") == 0
