"""docs/reference/python.md runs from top to bottom, and the package shows exactly what it promises."""

import re
import subprocess
import sys

import pytest

import planner
from planner.errors import InputError, OutputError
from planner.plan.schema import read_plan

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_example_runs(own_cache, repository, tmp_path, monkeypatch, capsys):
    text = (repository / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    documented = set(re.findall(r"^## (\w+)$", text, flags=re.MULTILINE))
    assert documented >= set(planner.__all__) - {"__version__"}
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"docs/reference/python.md example {number}", "exec"), names)
    assert "did you mean" in capsys.readouterr().out


def test_public_names_are_exactly_all():
    assert sorted(planner.__all__) == dir(planner)
    for name in planner.__all__:
        assert getattr(planner, name) is not None
    missing = "plan_everything"
    with pytest.raises(AttributeError, match=f"no attribute '{missing}'"):
        getattr(planner, missing)


def test_nothing_else_is_public_before_use():
    code = (
        "import planner, types; "
        "public = {n for n, v in vars(planner).items() "
        "if not n.startswith('_') and not isinstance(v, types.ModuleType)}; "
        "print(sorted(public - {'Any', 'TYPE_CHECKING'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_function_stays_a_function_after_its_package_is_loaded():
    import planner.comparison.options
    import planner.reporting.deliver

    assert callable(planner.compare)
    assert callable(planner.report)


def test_types_are_shipped(repository):
    assert (repository / "planner" / "py.typed").is_file()


def test_the_version_is_the_packages():
    assert re.match(r"^\d+\.\d+\.\d+", planner.__version__)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A question answered in a moment."""
    path = tmp_path_factory.mktemp("scenario") / "small.yaml"
    path.write_text(
        "model: Qwen/Qwen3-4B\nrate: 2\nprompt_tokens: 300\noutput_tokens: 100\n"
        "slo: {ttft_p99: 2s, tpot_p99: 100ms}\n"
        "search: {gpus: [l4, l40s], tensor_parallel: [1], weights: [bf16], kv_cache: [bf16]}\n"
    )
    return path


def test_compare_ranks_what_the_command_ranks(small):
    compared = planner.compare(small, {"gpu": ("l4", "l40s")}, verify="none")
    costs = [option.totals.usd_per_hour for option in compared.ranked]
    assert costs == sorted(costs)
    best = planner.solve(small, verify="none")
    assert compared.winner.totals.usd_per_hour == best.totals.usd_per_hour
    with pytest.raises(InputError, match="unknown axis"):
        planner.compare(small, {"colour": ("red",)})


def test_sweep_takes_numbers(small):
    swept = planner.sweep(small, "price_factor", [1, 2], price_of="l4")
    assert [point.value for point in swept.points] == [1.0, 2.0]
    with pytest.raises(InputError, match="unknown axis"):
        planner.sweep(small, "colour", [1.0])


@pytest.mark.parametrize("suffix", ["md", "csv", "json"])
def test_report_takes_its_format_from_the_name(small, suffix, tmp_path):
    path = tmp_path / f"report.{suffix}"
    plan = planner.report(small, path, quick=True, verify="none")
    assert plan.status == "optimal"
    assert path.read_text()
    if suffix == "json":
        assert read_plan(path) == plan
        again = planner.report(path, tmp_path / "again.json")
        assert again == plan
    with pytest.raises(OutputError, match="no such format"):
        planner.report(plan, tmp_path / "report.docx", quick=True)


def test_batch_grids_and_resumes(small, tmp_path):
    first = planner.batch(small, tmp_path / "out", grid={"rate": [1, 2]}, jobs=1)
    again = planner.batch(small, tmp_path / "out", grid={"rate": [1, 2, 3]}, jobs=1, resume=True)
    assert (len(first.rows), len(again.rows), again.reused) == (2, 3, 2)
    with pytest.raises(InputError):
        planner.batch(tmp_path / "none", tmp_path / "other")


def test_prices_beside_the_scenario_are_found_from_anywhere(small, tmp_path, monkeypatch):
    folder = tmp_path / "question"
    folder.mkdir()
    text = small.read_text() + "prices: {file: prices.csv}\n"
    (folder / "question.yaml").write_text(text)
    (folder / "prices.csv").write_text("nonsense\n1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as stated:  # found, read, and refused for what it holds
        planner.compare(folder / "question.yaml", {"gpu": ("l4",)}, verify="none")
    assert str(folder / "prices.csv") in str(stated.value)
