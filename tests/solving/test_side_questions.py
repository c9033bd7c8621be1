"""What is asked beside a plan has a time together; what it does not suffice for is named."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import pytest

from planner.api import solve
from planner.catalog.store import Catalog
from planner.plan.schema import Plan
from planner.reporting.plan.decision_text import searched_line
from planner.scenario.schema import Scenario
from planner.session import Session
from planner.solving.beside import ALL_OFFERS, WITHOUT_MARGIN
from planner.solving.options import LEAST_SIDE_S, SolveOptions
from planner.solving.side_questions import SideQuestions
from planner.verification.check import Verdict
from planner.verification.compare import alternative_checks

CHAT: dict[str, Any] = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 30,
    "prompt_tokens": 1000,
    "output_tokens": 300,
    "slo": {"ttft_p99": "2s", "tpot_p99": "80ms"},
    "search": {"gpus": ["l40s", "l4"]},
}
HURRIED = SolveOptions(verify="none", side_limit_s=0)


def planned(catalog: Catalog, options: SolveOptions, **more: object) -> Plan:
    scenario = Scenario.model_validate({**CHAT, **more})
    return Session.open(catalog, options=options).solve(scenario)


def test_questions_end_when_their_time_does() -> None:
    said: list[str] = []
    questions = SideQuestions(
        SolveOptions(until=time.monotonic() + 60), said.append, "pricing the alternatives: "
    )
    assert questions.ask("l40s", lambda: 1, 0) == 1
    assert said[0].startswith("pricing the alternatives: l40s, at most ")
    assert said[0].endswith(" s left")
    questions.effort = replace(questions.effort, until=time.monotonic())
    assert questions.ask("l4", lambda: 1, 0) == 0
    assert (questions.left, questions.asked, questions.stopped) == (["l4"], 1, False)


def test_the_time_of_all_is_twice_that_of_one() -> None:
    brief = SolveOptions(time_limit_s=100).beside()
    assert 199 < brief.until - time.monotonic() <= 200
    assert brief.time_limit_s == 20  # a tenth of it
    assert SolveOptions(time_limit_s=10).beside().time_limit_s == LEAST_SIDE_S
    assert SolveOptions(time_limit_s=1).beside().time_limit_s == 1
    stated = SolveOptions(side_limit_s=500).beside()
    assert 499 < stated.until - time.monotonic() <= 500
    assert SolveOptions().seconds_left == 60
    assert SolveOptions().until == math.inf


def test_ctrl_c_ends_them_all_where_what_is_finished_is_kept() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SideQuestions(SolveOptions()).ask("l40s", interrupted, 0)
    questions = SideQuestions(SolveOptions(keeps=True))
    assert questions.ask("l40s", interrupted, 0) == 0
    assert questions.ask("l4", lambda: 1, 0) == 0
    assert (questions.left, questions.stopped) == (["l40s", "l4"], True)


def test_a_plan_names_what_there_was_no_time_for(catalog: Catalog) -> None:
    plan = planned(catalog, HURRIED)
    assert plan.status == "optimal"
    assert not plan.alternatives
    run = plan.provenance.run
    assert {"l4", WITHOUT_MARGIN, ALL_OFFERS} <= {*run.not_priced, "l4"}
    assert not run.stopped
    line = searched_line(plan)
    assert "Not priced for lack of time: " in line
    assert "none found in its time" in line


def test_a_plan_in_time_says_nothing_of_it(catalog: Catalog) -> None:
    plan = planned(catalog, SolveOptions(verify="none"))
    assert plan.alternatives
    assert "Not priced" not in searched_line(plan)
    assert '"not_priced"' not in plan.to_json()
    hurried = planned(catalog, HURRIED)
    verdicts = {c.verdict for c in alternative_checks(hurried, plan)}
    assert Verdict.FAILS not in verdicts


def test_why_no_fleet_exists_is_explained_as_far_as_there_is_time(catalog: Catalog) -> None:
    short: dict[str, Any] = {"limits": {"max_cost_usd_per_hour": 0.5}}
    whole = planned(catalog, SolveOptions(verify="none"), **short)
    assert whole.infeasibility is not None
    assert "may exist" not in whole.infeasibility.summary
    hurried = planned(catalog, HURRIED, **short)
    assert hurried.status == "infeasible"
    assert hurried.infeasibility is not None
    assert "The time for explaining it ran out" in hurried.infeasibility.summary


def test_a_stopped_solve_still_has_its_plan(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_given: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("planner.solving.beside.without_margin", stop)
    plan = planned(catalog, SolveOptions(verify="none", keeps=True))
    assert plan.status == "optimal"
    assert plan.alternatives  # those before it
    assert plan.provenance.run.stopped
    assert WITHOUT_MARGIN in plan.provenance.run.not_priced
    assert "Not priced as it was stopped: " in searched_line(plan)
    with pytest.raises(KeyboardInterrupt):
        solve(Scenario.model_validate(CHAT), catalogs=catalog, verify="none")
