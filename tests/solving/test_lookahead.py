import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import plan_builder as build
import pytest

from planner.cli.main import main
from planner.errors import InputError
from planner.solving.lookahead import SolveAhead, expect

QUESTIONS = [build.scenario(rate=rate) for rate in (10, 20, 30, 40, 50)]


def answer(scenario):
    """A plan whose cost is its rate; a rate of 30 cannot be solved."""
    (service,) = scenario.services
    if service.rate == 30:
        raise InputError("no offer is left to choose from")
    return build.plan(scenario, nodes=(build.node(count=1, usd_per_hour_each=service.rate),))


def costs(solve):
    found = []
    for question in QUESTIONS:
        try:
            found.append(solve(question).totals.usd_per_hour)
        except InputError as error:
            found.append(error.what)
    return found


ONE_AFTER_ANOTHER = [10.0, 20.0, "no offer is left to choose from", 40.0, 50.0]


@pytest.mark.parametrize("workers", [1, 3])
def test_answers_are_those_of_one_after_another(workers):
    here = []

    def solve(scenario):
        here.append(scenario)
        return answer(scenario)

    with ThreadPoolExecutor(workers) as pool:
        ahead = SolveAhead(solve, pool, answer, workers)
        expect(ahead, QUESTIONS)
        assert costs(ahead) == ONE_AFTER_ANOTHER
        before = len(here)
        assert ahead(build.scenario(rate=60)).totals.usd_per_hour == 60
    assert len(here) == before + 1


def test_little_is_solved_here_one_after_another():
    here, there = [], []

    def solve(scenario):
        here.append(scenario.services[0].rate)
        return answer(scenario)

    def elsewhere(scenario):
        there.append(scenario)
        return answer(scenario)

    with ThreadPoolExecutor(1) as pool:
        ahead = SolveAhead(solve, pool, elsewhere, 1, worth_s=1e9)
        expect(ahead, QUESTIONS)
        assert costs(ahead) == ONE_AFTER_ANOTHER
    assert here == [10, 20, 30, 40, 50]
    assert not there


def test_much_is_shared_once_one_scenario_says_how_long_they_take(monkeypatch):
    clock = iter(range(0, 1000, 7))  # each takes 7 s
    monkeypatch.setattr("planner.solving.lookahead.time.process_time", lambda: next(clock))
    there = []

    def elsewhere(scenario):
        there.append(scenario.services[0].rate)
        return answer(scenario)

    with ThreadPoolExecutor(1) as pool:
        ahead = SolveAhead(answer, pool, elsewhere, 1, worth_s=20.0)
        expect(ahead, QUESTIONS)
        assert costs(ahead) == ONE_AFTER_ANOTHER
    assert there
    assert 10 not in there


def test_who_waits_takes_the_last_question_nobody_has_begun():
    release, here = threading.Event(), []

    def solve(scenario):
        here.append(scenario.services[0].rate)
        release.set()
        return answer(scenario)

    def blocked(scenario):
        release.wait(10)
        return answer(scenario)

    with ThreadPoolExecutor(1) as pool:
        ahead = SolveAhead(solve, pool, blocked, 1)
        expect(ahead, QUESTIONS)
        assert costs(ahead) == ONE_AFTER_ANOTHER
    assert here[0] == 50


class Lost(ThreadPoolExecutor):
    """Workers that die with the first question, and take no other."""

    def submit(self, fn, /, *_args, **_named):
        if self._shutdown:
            raise BrokenProcessPool("gone")
        self._shutdown = True
        begun = Future()
        threading.Timer(0.01, begun.set_exception, (BrokenProcessPool("gone"),)).start()
        return begun


def test_where_the_workers_are_lost_everything_is_solved_here():
    ahead = SolveAhead(answer, Lost(1), answer, 1)
    expect(ahead, QUESTIONS)
    assert costs(ahead) == ONE_AFTER_ANOTHER


def test_one_question_is_left_to_who_asks_it():
    ahead = SolveAhead(answer, Lost(1), answer, 1)
    expect(ahead, QUESTIONS[:1])
    assert ahead(QUESTIONS[0]).totals.usd_per_hour == 10


@pytest.mark.slow
def test_more_processes_write_the_same(tmp_path):
    written = []
    for jobs in ("1", "2"):
        path = tmp_path / f"{jobs}.csv"
        vary = ["--vary", "gpu=l4,l40s,t4,a10g", "--verify", "none", "--format", "csv"]
        args = ["compare", "chat_8b_small_gpus", *vary, "--jobs", jobs, "-o", str(path)]
        assert main(args) == 0
        written.append(path.read_text())
    assert written[0] == written[1]
