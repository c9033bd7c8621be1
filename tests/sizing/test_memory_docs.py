"""Every command of docs/guides/memory.md runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from planner.cli.main import cli

TEXT = (Path(__file__).parents[2] / "docs" / "guides" / "memory.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_runs(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "planner"
    result = CliRunner().invoke(cli, words, standalone_mode=False)
    assert result.exception is None, result.exception
    assert result.return_value in (None, 0)


@pytest.mark.parametrize("path", re.findall(r"`(planner\.sizing\.\w+)\.(\w+)`", TEXT))
def test_a_python_call_of_the_page_exists(path: tuple[str, str]) -> None:
    module, name = path
    assert hasattr(__import__(module, fromlist=[name]), name)
