"""Long work says what it does on stderr, and what was finished when Ctrl-C ended it."""

import csv
import os
import signal
import time

import plan_builder as build
import pytest

from planner.cli.main import main
from planner.cli.shared import progress as shown
from planner.fleet.program.linear_program import LinearProgram
from planner.fleet.program.solver import SMALL_COLUMNS, SolverLimits, minimise


@pytest.fixture
def plan_file(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(build.plan().to_json())
    return str(path)


def test_a_pipe_gets_a_line_every_so_often_and_none_of_what_is_quick(capsys, monkeypatch):
    with shown.progress("reading") as report:
        report("solving")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(shown, "EVERY_S", 0.02)
    with shown.progress("reading") as report:
        report("solving [1]")
        deadline = time.monotonic() + 5
        err = ""
        while "solving [1]" not in err and time.monotonic() < deadline:
            time.sleep(0.02)
            out, more = capsys.readouterr()
            assert out == ""
            err += more
    assert err.startswith("after 0 s: ")
    assert "after 0 s: solving [1]\n" in err


def test_a_report_keeps_what_was_finished(capsys, plan_file, monkeypatch):
    def solve(session, scenario, **_settings):
        if scenario.services[0].rate > 50:  # the first rate above the plan's
            raise KeyboardInterrupt
        return build.plan(scenario)

    monkeypatch.setattr("planner.session.Session.solve", solve)
    code = main(["report", plan_file, "--format", "csv", "--table", "sensitivity", "--jobs", "1"])
    out, err = capsys.readouterr()
    assert code == 130
    assert "interrupted: this is what was finished" in err
    assert {r["input"] for r in csv.DictReader(out.splitlines())} == {"Request rate"}
    code = main(["report", plan_file, "--format", "md", "--jobs", "1"])
    assert code == 130
    assert "Left as it was stopped: " in capsys.readouterr().out


def test_a_report_names_what_there_was_no_time_for(capsys, plan_file):
    code = main(["report", plan_file, "--format", "md", "--side-limit", "0", "--jobs", "1"])
    out = capsys.readouterr().out
    assert code == 0
    assert "Left for lack of time (--side-limit): " in out
    assert "Request rate -50 % (25/s)" in out.split("Left for lack of time")[1]


def test_ctrl_c_is_heard_while_the_solver_runs():
    program = LinearProgram()
    columns = [program.integer("x", i, high=50) for i in range(SMALL_COLUMNS + 1)]
    for k in range(150):
        terms = {c: float((7 * c * c + 13 * k + 31 * c * k) % 97 + 1) for c in columns}
        program.row("cover", (k,), terms, ">=", 20_000.0 + 137 * k)
    cost = {c: 40.0 + (c * 37 % 101) + 0.01 * c for c in columns}
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            minimise(program, cost, SolverLimits(time_limit_s=60.0))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert time.monotonic() - started < 30


def test_lines_of_progress_differ_and_the_same_one_is_rare(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("planner.cli.shared.progress.time.monotonic", lambda: clock[0])
    lines = shown.ProgressLines("solving", started=0.0, said=0.0)
    for second in range(1, 181):
        clock[0] = float(second)
        if second == 155:
            lines.show("simulating")
        lines.say()
    assert capsys.readouterr().err.splitlines() == [
        "after 10 s: solving",
        "after 70 s: solving",
        "after 2 min 10 s: solving",
        "after 2 min 35 s: simulating",
    ]
