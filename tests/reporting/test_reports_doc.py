"""Every command in docs/guides/reports.md runs as written, in order."""

import re
import shlex

import pytest

from planner.cli.main import main


@pytest.mark.slow
def test_commands_of_the_documentation_run(own_cache, repository, tmp_path, monkeypatch, capsys):
    text = (repository / "docs" / "guides" / "reports.md").read_text(encoding="utf-8")
    commands = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(commands) >= 8
    monkeypatch.chdir(tmp_path)
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "planner"
        assert main(words) == 0, f"{command}\n{capsys.readouterr().err}"
    assert {p.name for p in tmp_path.iterdir()} == {
        "approval.html",
        "cost.svg",
        "last.json",
        "report.html",
        "report.xlsx",
    }
