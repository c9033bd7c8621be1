"""Data flows one way: a module imports only from its own layer or from layers above it."""

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

import planner

PACKAGE = Path(planner.__file__).parent
REPOSITORY = Path(__file__).parents[1]
LAYERS = yaml.safe_load((REPOSITORY / "docs/concepts/layers.yaml").read_text(encoding="utf-8"))
LAYER_OF = {m: i for i, layer in enumerate(LAYERS) for m in layer["modules"]}
MOST_FILES = 25
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 100
OWN_IMPORTS = (
    "cli",
    "api",
    "__init__",
    "__main__",
)  # imports inside functions keep their start light
LATE = {  # what a plain solve does not need, imported where it is
    "planner.fleet.candidates.enumerate": {"planner.fleet.candidates.disaggregated"},
    "planner.catalog.model_config": {"planner.catalog.architectures.registry"},
    "planner.workload.length_values": {
        "planner.workload.length_tables",
        "planner.workload.trace",
    },
    "planner.workload.lengths": {"planner.workload.turns"},
    "planner.scenario.examination": {"planner.scenario.validation_messages"},
    "planner.fleet.periods": {"planner.workload.rate_series"},
    "planner.fleet.candidates.speculation": {"planner.accuracy.draft_acceptance"},
    "planner.fleet.program.objective": {
        "planner.fleet.program.decomposition.column_generation",
        "planner.fleet.program.decomposition.cover_heuristic",
    },
    "planner.assembly.conversations": {"planner.workload.turns"},
    "planner.solving.decision_rows": {
        "planner.solving.kept_simulations",
        "planner.solving.near_winners",
        "planner.solving.simulation_loop",
    },
    "planner.solving.pipeline": {
        "planner.solving.kept_simulations",
        "planner.solving.near_winners",
        "planner.solving.past_floors",
        "planner.solving.prefix_hits",
        "planner.solving.simulation_loop",
        "planner.solving.why_infeasible",
    },
}


@cache
def _tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def _modules():
    """Dotted name and file of every module but the package root, which hands on ``planner.api``."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts != ("__init__",) and "_data" not in parts:
            yield ".".join(("planner", *parts)).removesuffix(".__init__"), path


MODULES = dict(_modules())


def _imported(node):
    if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            yield full if full in MODULES else node.module
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)


def _imports(path):
    found = {name for n in ast.walk(_tree(path)) for name in _imported(n)}
    return {name for name in found if name == "planner" or name in MODULES}


IMPORTS = {name: _imports(path) - {name} for name, path in MODULES.items()}


def _layer(module):
    return LAYER_OF.get(module.split(".")[1])


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_own_layer_or_above(module):
    assert _layer(module) is not None, f"{module} has no layer: add it to docs/concepts/layers.yaml"
    assert "planner" not in IMPORTS[module], f"{module} imports the package root"
    below = {m for m in IMPORTS[module] if _layer(m) > _layer(module)}
    assert not below, f"{module} must not import from {sorted(below)}"


def test_no_modules_import_each_other_in_a_circle():
    left = dict(IMPORTS)
    while ready := [m for m, needs in left.items() if not needs & left.keys()]:
        for module in ready:
            del left[module]
    assert not left, f"in circles, or importing from one: {sorted(left)}"


def test_no_layer_without_a_module():
    assert {m.split(".")[1] for m in MODULES} == set(LAYER_OF)


def test_no_class_name_twice():
    names = Counter(
        node.name
        for path in (*MODULES.values(), *(REPOSITORY / "benchmarks").rglob("*.py"))
        for node in _tree(path).body
        if isinstance(node, ast.ClassDef)
    )
    assert not {name: n for name, n in names.items() if n > 1}


OURS = [
    path
    for folder in ("planner", "benchmarks", "tests")
    for path in sorted((REPOSITORY / folder).rglob("*.py"))
    if "_data" not in path.parts
]


def test_tests_import_what_is_installed_alone():
    """``pytest``, unlike ``python -m pytest``, does not look for modules where it is started."""
    tests = [path for path in OURS if path.is_relative_to(REPOSITORY / "tests")]
    benchmarks = [
        str(path.relative_to(REPOSITORY))
        for path in tests
        for node in ast.walk(_tree(path))
        for name in _imported(node)
        if name.split(".")[0] == "benchmarks"
    ]
    assert not benchmarks


def test_no_folder_is_too_full():
    folders = Counter(path.parent.relative_to(REPOSITORY) for path in OURS)
    assert not {str(folder): n for folder, n in folders.items() if n > MOST_FILES}


def test_no_file_and_no_function_is_too_long():
    long = []
    for path in OURS:
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > MOST_LINES:
            long.append(str(path.relative_to(REPOSITORY)))
        long += [
            f"{path.relative_to(REPOSITORY)}: {node.name}"
            for node in ast.walk(_tree(path))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and node.end_lineno - node.lineno >= MOST_LINES_OF_A_FUNCTION
        ]
    assert not long


@pytest.mark.parametrize("module", MODULES)
def test_imports_of_our_own_stand_at_the_top(module):
    if module.split(".")[1] in OWN_IMPORTS:
        return
    tree = _tree(MODULES[module])
    inside = {
        name
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        for name in _imported(node)
        if name in MODULES
    }
    inside -= LATE.get(module, set())
    assert not inside, f"{module} imports {sorted(inside)} inside a function"


HEAVY = ("scipy", "pulp", "highspy", "matplotlib", "pandas", "pyarrow", "joblib", "jinja2", "numpy")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from planner.cli.main import main; main(['--help']);"
        f"loaded = [m for m in {HEAVY!r} if m in sys.modules]; assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", MODULES)
def test_only_reporting_web_and_the_command_line_print(module):
    if module.split(".")[1] in ("reporting", "web", "cli"):
        return
    calls = [
        n.lineno
        for n in ast.walk(_tree(MODULES[module]))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print"
    ]
    assert not calls, f"{module} prints on lines {calls}"


@pytest.mark.parametrize(
    ("words", "file"),
    [((), "concepts/architecture.md"), (("--picture",), "pictures/architecture.svg")],
)
def test_the_architecture_page_is_written_from_the_list(words, file, golden):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.architecture_page", *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    golden(REPOSITORY / "docs" / file, done.stdout)


UNUSED = (  # by a session that neither simulates nor reads a recording
    "planner.serving.simulation",
    "planner.workload.trace",
    "planner.catalog.architectures.registry",
    "planner.fleet.program.decomposition.column_generation",
    "planner.reporting.plan",
)


def test_a_session_loads_no_simulator_and_no_readers_of_recordings():
    code = (
        "import sys; import planner.session;"
        f"loaded = [m for m in {UNUSED!r} if m in sys.modules]; assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
