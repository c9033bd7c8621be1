"""Completion scripts, and what they complete."""

import os
import shutil
import subprocess
import sys

import pytest

from planner.cli.main import COMMANDS, main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_planner_back(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_PLANNER_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        checked = subprocess.run(
            [shell, "-n"], input=script, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


def test_an_unknown_shell_is_refused(capsys):
    assert main(["completion", "tcsh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err


def complete(line):
    words = line.split(" ")
    environment = {
        **os.environ,
        "_PLANNER_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "planner"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [row.partition(",")[2] for row in done.stdout.splitlines()]


def test_commands_complete():
    assert complete("planner ") == list(COMMANDS)
    assert complete("planner so") == ["solve"]


def test_options_and_their_values_complete():
    assert "--target" in complete("planner deploy --")
    assert complete("planner deploy --target ku") == ["kubernetes"]


def test_names_complete():
    assert complete("planner solve llama70b_q") == ["llama70b_qps50", "llama70b_q"]
    assert complete("planner memory --gpu h100-s") == ["h100-sxm-80gb"]
    assert "Qwen/Qwen3-8B" in complete("planner memory --model qwen/qwen3-8")
    assert complete("planner solve x --set slo.ttft_p9") == ["slo.ttft_p99="]
