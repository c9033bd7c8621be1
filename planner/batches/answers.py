"""One task to one row: what the plan says in a line, or why there is none."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from planner.batches.tasks import Task
from planner.errors import InputError, PlannerError
from planner.fleet.program.solver import load_solver
from planner.plan.schema import Plan
from planner.scenario.changes import changed
from planner.scenario.reader import checked
from planner.scenario.text.yaml_source import Source, parse_source
from planner.session import Session
from planner.solving.options import BRIEF, SolveOptions

ResultRow = dict[str, Any]  # one JSON object of rows.jsonl; other versions write other fields
NoPlan = Literal["invalid", "failed", "crashed"]
FEW_STATES = 64


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How every scenario of a batch is solved; paths, so that any worker can read them."""

    catalogs: str | None = None
    calibration: str | None = None
    solve: SolveOptions = BRIEF


@lru_cache(maxsize=4)
def _session(options: BatchOptions) -> Session:
    """Catalogs and factors, read once per worker; little is kept of what its scenarios rarely share."""
    session = Session.open(options.catalogs, options.calibration, options.solve)
    return replace(session, most_states=FEW_STATES, remembers=False)


def load_ahead(options: BatchOptions) -> None:
    """Load what every scenario takes, before this process is copied; what cannot be loaded, rows will say."""
    load_solver()
    with suppress(PlannerError):
        session = _session(options)
        session.catalog.offers()
        _ = session.factors


def answer(task: Task, options: BatchOptions) -> ResultRow:
    """Answer one task; a scenario that cannot be read or solved becomes a row that says why."""
    started = time.monotonic()
    try:
        plan = _solve(task, options)
        row = row_of(task, plan)
    except PlannerError as error:
        row = failed(task, "invalid" if error.exit_code == 2 else "failed", str(error))
        row["exit_code"] = error.exit_code
    except Exception as error:  # a bug must not take the batch down with it
        row = failed(task, "failed", f"internal error: {type(error).__name__}: {error}")
    row["duration_s"] = round(time.monotonic() - started, 4)
    return row


def _solve(task: Task, options: BatchOptions) -> Plan:
    if task.text is None:
        raise InputError(task.problem or "the scenario could not be read")
    session = _session(options)
    source = parse_source(task.text, task.file)
    if task.changes:
        data = changed(source.data, task.changes, where="--grid")
        source = Source(source.path, data, source.lines)
    file = Path(task.file)
    scenario = checked(source, file.parent, default_name=file.stem, catalog=session.catalog)
    return session.solve(scenario, base=file.parent, for_cost=True)


def row_of(task: Task, plan: Plan) -> ResultRow:
    """The plan in one line; unknown is None, never 0."""
    groups = plan.groups
    totals = plan.totals
    why = None
    if plan.infeasibility:  # which requirements conflict is not worked out for a row
        again = shlex.join(["planner", "solve", task.file, *_set(task)])
        why = f"{plan.infeasibility.summary} Why, and what to relax: {again}"
    return {
        **_head(task),
        "name": plan.scenario.name,
        "status": plan.status,
        "exit_code": plan.exit_code,
        "services": len(plan.scenario.services),
        "rate_qps": sum(s.rate for s in plan.scenario.services),
        "gpus": totals.gpus if totals else None,
        "gpus_rented": totals.gpus_rented if totals else None,
        "nodes": totals.nodes if totals else None,
        "usd_per_hour": totals.usd_per_hour if totals else None,
        "usd_per_month": totals.usd_per_month if totals else None,
        "usd_per_million_output_tokens": totals.usd_per_million_output_tokens if totals else None,
        "bound_usd_per_hour": plan.bound_usd_per_hour,
        "gap": plan.gap,
        "fleet": "; ".join(g.label for g in groups) or None,
        "ttft_p99_s": _worst(g.predicted.ttft_p99_s for g in groups),
        "tpot_p99_s": _worst(g.predicted.tpot_p99_s for g in groups),
        "percentiles": groups[0].predicted.method if groups else None,
        "evidence": groups[0].evidence if groups else None,
        "error": why,
    }


def _set(task: Task) -> Iterator[str]:
    for field, value in task.changes.items():
        yield from ("--set", f"{field}={value}")


def failed(task: Task, status: NoPlan, why: str) -> ResultRow:
    """The row of a task without a plan."""
    blank: ResultRow = dict.fromkeys(COLUMNS)
    return {**blank, **_head(task), "status": status, "exit_code": 70, "error": why}


def _head(task: Task) -> ResultRow:
    return {"id": task.id, "key": task.key, "file": task.file, "changes": dict(task.changes)}


def _worst(values: Iterable[float | None]) -> float | None:
    return max((v for v in values if v is not None), default=None)


COLUMNS = (
    *(
        "id",
        "key",
        "file",
        "changes",
        "name",
        "status",
        "exit_code",
        "services",
        "rate_qps",
        "gpus",
    ),
    *("gpus_rented", "nodes", "usd_per_hour", "usd_per_month", "usd_per_million_output_tokens"),
    *("bound_usd_per_hour", "gap", "fleet", "ttft_p99_s", "tpot_p99_s", "percentiles", "evidence"),
    *("error", "duration_s"),
)
