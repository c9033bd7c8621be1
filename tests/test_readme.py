"""Docs that cannot rot: the README's commands and code blocks run, and its output is real."""

import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from planner.cli.main import main
from planner.plan.schema import read_plan
from planner.scenario.reader import validate
from planner.scenario.text.yaml_source import parse_source

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
OUTPUT = re.compile(r"<!-- output: (.+?) -->\n```text\n(.*?)```", re.DOTALL)


def blocks(repository, language):
    text = (repository / "README.md").read_text(encoding="utf-8")
    return [body for kind, body in BLOCK.findall(text) if kind == language]


@pytest.fixture
def run(repository, monkeypatch, capsys):
    """Run a ``planner`` command in the repository; its exit code, output and messages."""
    monkeypatch.chdir(repository)

    def called(command):
        program, *words = shlex.split(command, comments=True)
        assert program == "planner"
        return main(words), *capsys.readouterr()

    return called


def test_the_two_commands_are_in_the_readme(repository):
    shell = "".join(blocks(repository, "sh"))
    assert "python -m pip install . && planner solve scenarios/llama70b_qps50.yaml" in shell
    assert "python -m pip install '.[test]' && pytest" in shell


def test_every_planner_command_runs(own_cache, repository, run):
    lines = [
        line
        for block in blocks(repository, "sh")
        for line in block.splitlines()
        if line.startswith("planner ")
    ]
    assert lines
    for line in lines:
        code, _, err = run(line)
        assert code == 0, f"{line}\n{err}"


def test_python_blocks_run(own_cache, repository):
    for block in blocks(repository, "python"):
        done = subprocess.run(
            [sys.executable, "-c", block],
            capture_output=True,
            text=True,
            cwd=repository,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_yaml_blocks_are_scenarios(repository):
    for block in blocks(repository, "yaml"):
        validate(parse_source(block, "README.md"))


def test_shown_output_is_what_the_command_prints(
    repository, request, run, monkeypatch, simulated_main_plan
):
    """The plan is the one that another process solved for the same words."""
    plan = read_plan(simulated_main_plan)
    monkeypatch.setattr("planner.session.Session.solve", lambda *_, **__: plan)
    path = repository / "README.md"
    text = path.read_text(encoding="utf-8")
    for command, shown in OUTPUT.findall(text):
        assert command == "planner solve llama70b_qps50 --brief"
        _, real, _ = run(command)
        real = "\n".join(line.rstrip() for line in real.splitlines()).strip("\n") + "\n"
        if request.config.getoption("--regenerate-golden"):
            text = (
                text.replace(shown, real)
                if shown
                else text.replace("```text\n```", f"```text\n{real}```")
            )
            path.write_text(text, encoding="utf-8")
        else:
            assert shown == real, f"{command}: run pytest --regenerate-golden tests/test_readme.py"


VARIANTS = 3
VARIANT = re.compile(r"^\| ([^|]*) \| `(--set [^`]+)` \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)


KIND = re.compile(r"\d+x (?:\(\d+x )?(\S+) ")


def fleets(printed):
    """Count, GPU and cost of a plan, and of the same question sized for the prediction itself."""
    plan = json.loads(printed)
    (service,) = plan["services"]
    counts = Counter()
    for group in service["replica_groups"]:
        counts[group["gpu"]] += group["gpus"]
    gpus = " + ".join(f"{count} {gpu}" for gpu, count in counts.items())
    bare = plan["as_predicted"]
    kinds = " + ".join(dict.fromkeys(KIND.findall(bare["cheapest_label"])))
    return [
        f"{gpus}, ${plan['totals']['usd_per_hour']:,.2f}/h",
        f"{bare['cheapest_gpus']} {kinds}, ${bare['cheapest_usd_per_hour']:,.2f}/h",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [pytest.param(0, marks=pytest.mark.long), 1, pytest.param(2, marks=pytest.mark.long)]
)
def test_a_variant_with_and_without_a_margin(number, request, run):
    text = README.read_text(encoding="utf-8")
    rows = list(VARIANT.finditer(text))
    assert len(rows) == VARIANTS
    name, flags, *shown = rows[number].groups()
    code, printed, err = run(f"planner solve llama70b_qps50 {flags} --format json")
    assert code == 0, err
    real = fleets(printed)
    if request.config.getoption("--regenerate-golden"):
        text = text.replace(rows[number][0], f"| {name} | `{flags}` | {real[0]} | {real[1]} |")
        README.write_text(text, encoding="utf-8")
    else:
        assert shown == real, "run pytest --regenerate-golden --long tests/test_readme.py"


LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
PAGES = sorted(
    p for p in [README, *README.parent.glob("*.md"), *README.parent.glob("docs/**/*.md")]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(README.parent)))
def test_every_relative_link_leads_somewhere(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    "page",
    [p for p in PAGES if p.parent.name != "decisions" and p.name != "CHANGELOG.md"],
    ids=lambda p: str(p.relative_to(README.parent)),
)
def test_files_of_the_package_that_pages_name_exist(page):
    """Decisions and the changelog say what was; every other page names files as they lie now."""
    root, text = README.parent, page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)`", text)
    missing = [
        name for name in named if not any((at / name).exists() for at in (root, root / "planner"))
    ]
    assert not missing


def test_the_index_names_every_page():
    index = README.parent / "docs" / "index.md"
    named = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}
    pages = {p.resolve() for p in index.parent.glob("*/*.md") if p.parent.name != "decisions"}
    assert pages - named == set()
