"""Public functions of the physics say what each number is: in their docstring, or in their module's."""

import ast
import re
from pathlib import Path

import pytest

import planner

PACKAGE = Path(planner.__file__).parent
PHYSICS = ("sizing", "performance", "serving/closed_form", "money", "workload")
FILES = sorted(p for part in PHYSICS for p in (PACKAGE / part).rglob("*.py"))
NUMBER = re.compile(r"\b(float|Floats)\b")


def unexplained(module):
    """Each public function with the numbers it takes and does not name."""
    about = ast.get_docstring(module) or ""
    for function in module.body:
        if not isinstance(function, ast.FunctionDef) or function.name.startswith("_"):
            continue
        text = f"{ast.get_docstring(function) or ''}\n{about}"
        given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        numbers = [
            a.arg for a in given if a.annotation and NUMBER.search(ast.unparse(a.annotation))
        ]
        missing = [name for name in numbers if not re.search(rf"\b{name}\b", text)]
        if missing:
            yield function.name, missing


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_number_that_a_function_takes_is_explained(path):
    assert dict(unexplained(ast.parse(path.read_text(encoding="utf-8")))) == {}
