"""Data flows one way: a module imports only from its own floor or from floors above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import planner

PACKAGE = Path(planner.__file__).parent

FLOORS = [
    {"errors", "units", "evidence", "interrupts", "version", "package_data"},
    {"catalog"},
    {
        "documents",
        "scenario",
        "scenario_fleet",
        "scenario_pools",
        "scenario_source",
        "scenario_complaints",
        "scenario_names",
        "scenario_reader",
    },
    {"deployment"},
    {"sizing"},
    {"performance"},
    {"serving"},
    {"accuracy"},
    {"fleet"},
    {"plan", "plan_pools"},
    {
        "solve_options",
        "solved",
        "schedule",
        "pools_of_plan",
        "framing",
        "streams",
        "checking",
        "solving",
        "assembly",
    },
    {"verification", "derivation", "comparison"},
    {"deploy"},
    {"reporting"},
    {"api", "session", "batches", "workers"},
    {"cli", "__main__"},
]
FLOOR_OF = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def _modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        if relative.parts[0] != "__init__.py" and "_data" not in relative.parts:
            yield path, relative.parts[0].removesuffix(".py")


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "planner" and len(parts) > 1 and parts[1] in FLOOR_OF:
                yield parts[1]


@pytest.mark.parametrize(
    ("path", "room"), [pytest.param(*m, id=str(m[0].relative_to(PACKAGE))) for m in _modules()]
)
def test_a_module_imports_only_from_floors_above(path, room):
    assert room in FLOOR_OF, f"{room} has no floor: add it to FLOORS and docs/architecture.md"
    below = {r for r in _imports(path) if FLOOR_OF[r] > FLOOR_OF[room]}
    assert not below, f"{room} must not import from {sorted(below)}"


HEAVY = ("scipy", "pulp", "highspy", "matplotlib", "pandas", "pyarrow", "joblib", "jinja2", "numpy")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from planner.cli.main import main; main(['--help']);"
        f"loaded = [m for m in {HEAVY!r} if m in sys.modules]; assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [p for p, _ in _modules()], ids=lambda p: p.name)
def test_only_reporting_and_the_command_line_print(path):
    room = path.relative_to(PACKAGE).parts[0]
    if room in ("reporting", "cli"):
        return
    calls = [
        n.lineno
        for n in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print"
    ]
    assert not calls, f"{path} prints on lines {calls}"
