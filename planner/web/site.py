"""A plan and its sweeps as a static site: the same page, opened from a file, with its data inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from planner.api import explain_in
from planner.comparison.sweeps import axis_named, sweep
from planner.findings.gather import gather
from planner.reporting.files import write_file
from planner.scenario.schema import Scenario
from planner.scenario.text.changes import scenario_text
from planner.session import Session
from planner.solving.lookahead import Solve
from planner.solving.options import BRIEF
from planner.solving.side_questions import SideQuestions
from planner.web.answers import explanation_answer, plan_answer, sweep_answer
from planner.web.limits import ServerLimits
from planner.web.names import about
from planner.web.problems import Json

STATIC = Path(__file__).parent / "static"
_SHIPPED = ("page.js", "page.css", "LICENSES.txt")
_DATA = '<script type="application/json" id="exported">{}</script>\n</head>'
_FACTORS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
_SWEPT_TARGETS = ("ttft", "tpot", "e2e")


def write_site(
    scenario: str, folder: Path, session: Session, progress: Callable[[str], None]
) -> tuple[str, ...]:
    """Solve ``scenario`` (a file, a shipped name or stdin), sweep it, and write the site; the files written.

    Raises InputError for a wrong scenario, OutputError when the folder cannot be written.
    """
    text = scenario_text(scenario, session.changes)
    data = json.dumps(_exported(scenario, text, session, progress), ensure_ascii=False)
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    escaped = data.replace("<", "\\u003c")
    (folder / "static").mkdir(parents=True, exist_ok=True)
    write_file(folder / "index.html", page.replace("</head>", _DATA.format(escaped), 1))
    for name in _SHIPPED:
        write_file(folder / "static" / name, (STATIC / name).read_bytes())
    return ("index.html", *(f"static/{name}" for name in _SHIPPED))


def _exported(scenario: str, text: str, session: Session, progress: Callable[[str], None]) -> Json:
    plan = session.solve(session.read(scenario), progress=progress)
    variants = session.solver_of_variants(BRIEF)
    questions = SideQuestions(BRIEF, progress)
    findings = gather(plan, session.catalog, session.factors, variants, questions)
    explained = explain_in(session.with_options(replace(BRIEF, explain=True)), scenario, progress)
    return {
        "about": {**about(session, ServerLimits()), "scenario": None},
        "scenario": text,
        "answer": plan_answer(findings),
        "sweeps": list(_sweeps(session.read(scenario), variants, progress)),
        "explain": explanation_answer(explained.derivations, explained.beside),
    }


def _sweeps(question: Scenario, solve: Solve, progress: Callable[[str], None]) -> Iterator[Json]:
    """Cost against the rate and against each kind of target the scenario has."""
    rate_qps = sum(s.rate for s in question.services)
    limits_s = {
        metric: min(t.seconds for s in question.services if (t := s.slo.target(metric)) is not None)
        for metric in _SWEPT_TARGETS
        if any(s.slo.target(metric) for s in question.services)
    }
    for name, now in {"rate": rate_qps, **limits_s}.items():
        progress(f"sweeping {name}")
        values = tuple(now * factor for factor in _FACTORS)
        yield sweep_answer(sweep(question, axis_named(name), values, solve))
