"""The acceptance test of one replica in words: what to run, what it found, what follows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby

from planner.accuracy.acceptance_run import Judged
from planner.plan.acceptance import AcceptanceTest, Rung
from planner.plan.schema import Plan
from planner.reporting import rounding
from planner.units import counted


def test_lines(test: AcceptanceTest, *, several: bool) -> Iterator[str]:
    """The runs of a test, each with its command and its limits.

    ``several``: the plan has others, whose results have the same file names.
    """
    yield f"Acceptance test of one replica: {test.replica} ({test.service})"
    yield "Start one replica (planner deploy), put its address in place of REPLICA, and run:"
    for _, rungs in groupby(test.rungs, key=lambda rung: rung.share):
        yield ""
        yield from _runs(tuple(rungs))
    yield ""
    place, named = "", ""
    if several:
        place = ", in a folder of its own"
        named = f" --service {shlex.quote(test.service)} --replica {shlex.quote(test.replica)}"
    yield f"Then{place}: planner accept rung-*.json --plan PLAN.json{named}"


def _runs(rungs: Sequence[Rung]) -> Iterator[str]:
    """The runs at one share of the planned rate, which are made at the same time."""
    for rung in rungs:
        of = f" of {rung.request_class}" if rung.request_class else ""
        load = (
            f"{rounding.share(rung.share)} of the planned rate{of}, {rounding.qps(rung.rate_qps)}"
        )
        yield f"# {load}: {_limits(rung.limits_s)}"
        yield f"{rung.command} &" if len(rungs) > 1 else rung.command
    if len(rungs) > 1:
        yield "wait"


def _limits(limits_s: dict[str, float]) -> str:
    text = (
        f"{statistic} at most {rounding.seconds(limit)}" for statistic, limit in limits_s.items()
    )
    return ", ".join(text) or "no limit"


def verdict_lines(verdicts: Sequence[Judged], faults: Sequence[str]) -> Iterator[str]:
    """The verdict, what is wrong with the runs themselves, then each statistic against its limit."""
    failed = sum(not v.passes for v in verdicts)
    if failed:
        yield f"Failed: {counted(failed, 'limit')} of {len(verdicts)}."
    elif faults:
        yield "Failed: the runs are not what the plan asked for."
    else:
        yield "Passed."
    yield from (f"  {fault}" for fault in faults)
    width = max([9, *(len(v.statistic) for v in verdicts)])
    for v in verdicts:
        found = "not in the file" if v.measured_s is None else rounding.seconds(v.measured_s)
        verdict = "holds" if v.passes else "FAILS"
        yield (
            f"  {rounding.share(v.share):>5}  {v.statistic:<{width}}  {verdict}: {found}, "
            f"limit {rounding.seconds(v.limit_s)}"
        )


def solved_again_line(plan: Plan, again: Plan) -> str:
    """What the scenario takes with what was measured, against the plan."""
    if again.totals is None or plan.totals is None:
        return f"Solved again with what was measured: {again.status}."
    groups = "; ".join(g.label for g in again.groups)
    cost = rounding.change(
        plan.totals.usd_per_hour, again.totals.usd_per_hour, rounding.usd_per_hour
    )
    gpus = rounding.change(plan.totals.gpus_rented, again.totals.gpus_rented, rounding.count)
    return f"Solved again with what was measured: {groups}. GPUs {gpus}, cost {cost}."
