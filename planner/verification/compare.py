"""Every value that a plan states, held against the plan written again from its decision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

from planner.plan.alternatives import Alternative
from planner.plan.decision import AsPredicted, Cheapest
from planner.plan.part import PlanPart
from planner.plan.schema import NOT_VERIFIED, Plan
from planner.units import counted
from planner.verification.check import Check, Verdict, at_least, number_text, same, skipped

FAMILY = "recomputed"
ROUNDS = "verification.rounds"
CLOSE = 1e-6  # relative; values that differ by less are equal
TINY = 1e-12
PROVED_ELSEWHERE = frozenset(
    {
        *("schema_version", "scenario", "not_verified"),  # read, digested, held against the list
        *("objective_usd_per_hour", "bound_usd_per_hour", "gap"),  # the certificate's own checks
        *("alternatives", "native_precision"),  # fleet by fleet, in ``alternative_checks``
        *("as_predicted", "cheapest"),  # as far as they were proved, in ``beside_checks``
        "left_out",  # likewise, in ``left_out_checks``
    }
)


def restated_checks(plan: Plan, again: Plan) -> Iterator[Check]:
    """One check per part of the plan that agrees in every value, one per value that does not."""
    found, required = plan.model_dump(mode="json"), again.model_dump(mode="json")
    for part in (name for name in found if name not in PROVED_ELSEWHERE):
        wrong = [
            (path, stated, right)
            for path, stated, right in differences(found[part], required[part], part)
            if not _recorded(path)
        ]
        for path, stated, right in wrong:
            yield Check(FAMILY, path, Verdict.FAILS, _written(stated), f"= {_written(right)}")
        if not wrong:
            count = sum(1 for _ in _leaves(found[part], part))
            if count:
                statement = f"{part}: {counted(count, 'value')}"
                yield Check(FAMILY, statement, Verdict.HOLDS, "as recomputed")
    yield from alternative_checks(plan, again)
    yield from beside_checks(plan, again)
    yield from left_out_checks(plan, again)


def beside_checks(plan: Plan, again: Plan) -> Iterator[Check]:
    """The fleet without a margin and the one of all offers; not what the time did not suffice to prove."""
    for where, stated, right in (
        ("as_predicted", plan.as_predicted, again.as_predicted),
        ("cheapest", plan.cheapest, again.cheapest),
    ):
        wrong = list(differences(_values(stated), _values(right), where))
        if wrong and right is not None and right.status != "optimal":
            yield skipped(FAMILY, where, "not proved again in its time")
            continue
        unproved = stated is not None and stated.status != "optimal"
        if unproved and any(path != f"{where}.status" for path, _, _ in wrong):
            yield _unproved(where, stated, right)
            continue
        for path, found, required in wrong:
            yield Check(FAMILY, path, Verdict.FAILS, _written(found), f"= {_written(required)}")
        if stated is not None and not wrong:
            yield Check(FAMILY, where, Verdict.HOLDS, "as recomputed")


def left_out_checks(plan: Plan, again: Plan) -> Iterator[Check]:
    """What the search left out, priced again; not what the time did not suffice to prove."""
    known = {o.name: o for o in again.left_out}
    stated = {o.name: o for o in plan.left_out}
    for name in (*stated, *(n for n in known if n not in stated)):
        where, one, other = f"left_out: {name}", stated.get(name), known.get(name)
        if any(o is not None and o.status != "optimal" for o in (one, other)):
            yield skipped(FAMILY, where, "not proved in its time")
            continue
        wrong = list(differences(_values(one), _values(other), where))
        for path, found, required in wrong:
            yield Check(FAMILY, path, Verdict.FAILS, _written(found), f"= {_written(required)}")
        if not wrong:
            yield Check(FAMILY, where, Verdict.HOLDS, "as recomputed")


def _unproved(
    where: str, stated: AsPredicted | Cheapest | None, right: AsPredicted | Cheapest | None
) -> Check:
    """A fleet that was not proved when the plan was made: it costs at least the least."""
    if stated is None or right is None:
        return skipped(FAMILY, where, "not proved in its time, when planned")
    least = f"{where}, not proved when the plan was made: at least the least cost [USD/h]"
    return at_least(FAMILY, least, stated.usd_per_hour, right.usd_per_hour)


def _values(part: PlanPart | None) -> dict[str, object]:
    return {} if part is None else part.model_dump(mode="json")


def not_verified_checks(plan: Plan) -> Iterator[Check]:
    """What the plan itself marks as not verified is what no one can verify, and is listed as such."""
    yield same(FAMILY, "what is marked as not verified", plan.not_verified, NOT_VERIFIED)
    yield skipped("not verified", "recorded by the run, not recomputed", ", ".join(NOT_VERIFIED))


def alternative_checks(plan: Plan, again: Plan) -> Iterator[Check]:
    """Every alternative, solved again; one that is not proved in a few seconds is not compared.

    How many there are is not compared where there was no time for some.
    """
    hurried = bool(plan.provenance.run.not_priced or again.provenance.run.not_priced)
    for where, stated, right in (
        ("alternatives", plan.alternatives, again.alternatives),
        ("native_precision", _one(plan.native_precision), _one(again.native_precision)),
    ):
        known = {a.restricted_to: a for a in right}
        if hurried and len(stated) != len(right):
            yield skipped(FAMILY, f"{where}: how many", "there was no time for some")
        else:
            yield same(FAMILY, f"{where}: how many", len(stated), len(right))
        for alternative in stated:
            name = alternative.restricted_to
            if name not in known and hurried:
                yield skipped(FAMILY, f"{where}: {name}", "no time to solve it again")
                continue
            if name not in known:
                yield Check(FAMILY, f"{where}: {name}", Verdict.FAILS, "no such restriction")
                continue
            yield from _alternative(f"{where}: {name}", alternative, known[name])


def _alternative(where: str, stated: Alternative, right: Alternative) -> Iterator[Check]:
    if right.status != "optimal":
        yield skipped(FAMILY, where, "not proved again in the time for alternatives")
        return
    if stated.status != "optimal":
        least = f"{where}, not proved when the plan was made: at least the least cost [USD/h]"
        yield at_least(FAMILY, least, stated.usd_per_hour, right.usd_per_hour)
        return
    wrong = list(differences(stated.model_dump(), right.model_dump(), where))
    for path, found, required in wrong:
        yield Check(FAMILY, path, Verdict.FAILS, _written(found), f"= {_written(required)}")
    if not wrong:
        yield Check(FAMILY, where, Verdict.HOLDS, number_text(stated.usd_per_hour), "solved again")


def _one(alternative: Alternative | None) -> tuple[Alternative, ...]:
    return () if alternative is None else (alternative,)


def differences(found: object, required: object, path: str) -> Iterator[tuple[str, object, object]]:
    """(path, found, required) of every value that differs; numbers within ``CLOSE`` are equal."""
    if isinstance(found, Mapping) and isinstance(required, Mapping):
        for key in (*found, *(k for k in required if k not in found)):
            yield from differences(found.get(key), required.get(key), f"{path}.{key}")
    elif _is_list(found) and _is_list(required):
        if len(found) != len(required):
            yield f"{path}: how many", len(found), len(required)
        for i, (one, other) in enumerate(zip(found, required, strict=False)):
            yield from differences(one, other, f"{path}.{i}")
    elif not _equal(found, required):
        yield path, found, required


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _equal(found: object, required: object) -> bool:
    if isinstance(found, bool) or isinstance(required, bool):
        return found is required
    if isinstance(found, (int, float)) and isinstance(required, (int, float)):
        return math.isclose(found, required, rel_tol=CLOSE, abs_tol=TINY)
    return found == required


def _leaves(value: object, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{i}")
    elif not _recorded(path):
        yield path


def _recorded(path: str) -> bool:
    """Whether a value is one of those that no one can recompute.

    The rounds that confirmed the plan's own fleet are recomputed; others are in both as recorded.
    """
    return any(
        path == p or path.startswith((f"{p}.", f"{p}:")) for p in NOT_VERIFIED if p != ROUNDS
    )


def _written(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value)
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
