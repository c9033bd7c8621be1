"""docs/api.md runs from top to bottom, and the package shows exactly what it promises."""

import re
import subprocess
import sys

import pytest

import planner

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_example_runs(repository, tmp_path, monkeypatch, capsys):
    text = (repository / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    documented = set(re.findall(r"^## (\w+)$", text, flags=re.MULTILINE))
    assert documented >= set(planner.__all__) - {"__version__"}
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"docs/api.md example {number}", "exec"), names)
    assert "did you mean" in capsys.readouterr().out


def test_public_names_are_exactly_all():
    assert sorted(planner.__all__) == dir(planner)
    for name in planner.__all__:
        assert getattr(planner, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'plan_everything'"):
        planner.plan_everything  # noqa: B018


def test_nothing_else_is_public_before_use():
    code = (
        "import planner, types; "
        "public = {n for n, v in vars(planner).items() "
        "if not n.startswith('_') and not isinstance(v, types.ModuleType)}; "
        "print(sorted(public - {'Any', 'TYPE_CHECKING'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_function_stays_a_function_after_its_room_is_loaded():
    import planner.comparison.options
    import planner.reporting.deliver

    assert callable(planner.compare)
    assert callable(planner.report)


def test_types_are_shipped(repository):
    assert (repository / "planner" / "py.typed").is_file()


def test_the_version_is_the_packages():
    assert re.match(r"^\d+\.\d+\.\d+", planner.__version__)
