"""``planner serve``: what the page opens with, through a server of its own."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from cli_files import SCENARIO, write

pytest.importorskip("uvicorn")
REPOSITORY = Path(__file__).parents[2]


def opened_with(folder, piped, *args):
    """The scenario that a server started in ``folder`` gives its page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "planner", "serve", *args, "--port", str(port)],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "PLANNER_CACHE": "off"},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        process.stdin.write(piped)
        process.stdin.close()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert process.poll() is None, process.stderr.read()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/about", timeout=5) as r:
                    return json.load(r)["scenario"]
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the server does not answer")
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stderr.close()


@pytest.mark.parametrize("named", ["mine.yaml", "-"])
def test_fields_are_changed_before_the_page_opens(tmp_path, named):
    (tmp_path / "mine.yaml").write_text(SCENARIO)
    args = (named, "--set", "rate=80", "--set", "limits.max_gpus=9")
    text = opened_with(tmp_path, SCENARIO if named == "-" else "", *args)
    assert text == SCENARIO.replace("rate: 5", "rate: 80") + "limits: {max_gpus: 9}\n"


@pytest.mark.usefixtures("own_folder")
def test_what_a_change_makes_wrong_is_refused_before_the_page_opens(refused):
    write("mine.yaml", SCENARIO)
    message = refused("serve", "mine.yaml", "--set", "rate=-80")
    assert "--set rate=-80, rate: must be greater than 0" in message
    assert "--set needs a SCENARIO" in refused("serve", "--set", "rate=80")


@pytest.mark.slow
@pytest.mark.usefixtures("own_folder")
def test_a_static_site_of_a_changed_scenario(refused, capsys):
    from planner.cli.main import main

    write("mine.yaml", SCENARIO)
    assert main(("serve", "mine.yaml", "--set", "rate=3", "--export", "site")) == 0
    capsys.readouterr()
    assert "rate: 3" in Path("site/index.html").read_text(encoding="utf-8")
