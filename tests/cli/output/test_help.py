"""Every command explains itself, with examples that parse; docs/reference/cli.md says the same."""

import re
import shlex
import subprocess
import sys

import click
import pytest
from command_tree import COMMANDS

from planner.cli.main import cli, main


def _examples(command):
    text = command.get_short_help_str() and command.help
    lines = text.split("Examples:\n", 1)[1].splitlines()
    joined = "\n".join(line.strip() for line in lines if line.strip())
    return [line for line in joined.replace("\\\n", " ").splitlines() if line]


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(p) for p, _ in COMMANDS])
def test_every_command_has_help_with_examples(path, command, capsys):
    assert main([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: planner {' '.join(path)}")
    assert "Examples:\n" in shown


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(p) for p, _ in COMMANDS])
def test_every_example_is_a_call_that_parses(path, command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for example in _examples(command):
        words = shlex.split(example, comments=True)
        if words[0] == "eval":
            words = shlex.split(words[1].removeprefix("$(").removesuffix(")"))
        words = words[: words.index(">")] if ">" in words else words
        assert words[0] == "planner", example
        _parse(cli, words[1:], monkeypatch)


def _parse(command, words, monkeypatch):
    """Parse as click does, without running: files named in examples need not exist."""
    for option in command.params:
        if isinstance(option.type, click.Path):
            monkeypatch.setattr(option.type, "exists", False)
    context = command.make_context(command.name, list(words), resilient_parsing=False)
    if isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if rest:
            _, inner, rest = command.resolve_command(context, rest)
            _parse(inner, rest, monkeypatch)


def test_the_cli_reference_is_what_the_commands_say(repository, golden):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cli_reference"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    golden(repository / "docs" / "reference" / "cli.md", done.stdout)


def test_version(capsys):
    import planner

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"planner {planner.__version__}\n"


def test_every_gpu_of_an_example_exists(catalog):
    text = "\n".join(line for _, command in COMMANDS for line in _examples(command))
    named = [n for found in re.findall(r"gpu[= ]([\w.,-]+)", text) for n in found.split(",")]
    assert len(named) > 3
    for name in named:
        assert catalog.gpu(name)
