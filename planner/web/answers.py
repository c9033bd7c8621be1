"""A plan as the page shows it: the decision in one sentence, the report's sections, charts, the plan."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from planner.comparison.differences import Difference, diff
from planner.comparison.sweeps import Sweep, SweepPoint
from planner.derivation.rows import Beside, Derivation
from planner.evidence import Evidence
from planner.findings.schema import Findings
from planner.plan.schema import Plan
from planner.reporting.plan.plan_document import headline, plan_document
from planner.reporting.studies.difference_document import difference_document
from planner.reporting.studies.sweep_document import sweep_document
from planner.web.charts import charts_of
from planner.web.document_json import document_json
from planner.web.problems import Json


def plan_answer(findings: Findings, since: Plan | None = None) -> Json:
    """Everything the page shows of one plan; ``plan`` is the whole of it."""
    plan = findings.plan
    provenance = plan.provenance
    return {
        "status": plan.status,
        "exit_code": plan.exit_code,
        "decision": decision(plan),
        "document": document_json(plan_document(findings)),
        "charts": charts_of(findings),
        "gpus": _gpus(plan),
        "changes": None if since is None else difference_answer(diff(since, plan)),
        "version": provenance.planner_version,
        "catalog_digest": provenance.catalog_digest,
        "calibration_digest": provenance.calibration_digest,
        "plan": json.loads(plan.to_json()),
    }


def decision(plan: Plan) -> Json:
    """The decision as one sentence; cost, the tightest target's margin, and the weakest evidence.

    ``margin``: 1 - predicted / target of the target that is closest, None without a prediction.
    ``probability``: the plan is sized for it; None without a margin, and where one is assumed:
    ``assumed_slowdown`` is then how many times as long steps may take.
    """
    margins = dict(_margins(plan))
    closest = min(margins, key=lambda key: margins[key], default=None)
    groups = plan.groups
    grades = [g.evidence for g in groups]
    assumed = [g.margin.slowdown for g in groups if g.margin is not None and not g.margin.passed]
    return {
        "sentence": headline(plan),
        "usd_per_hour": plan.totals.usd_per_hour if plan.totals else None,
        "usd_per_month": plan.totals.usd_per_month if plan.totals else None,
        "gpus": plan.totals.gpus_rented if plan.totals else None,
        "margin": None if closest is None else margins[closest],
        "margin_of": closest,
        "evidence": max(grades, key=_rank, default=None),
        "probability": None
        if assumed
        else min(
            (s.assurance.probability for s in plan.scenario.services if s.assurance), default=None
        ),
        "assumed_slowdown": max(assumed, default=None),
        "method": groups[0].predicted.method if groups else None,
    }


def _rank(grade: str) -> int:
    grades = [str(e) for e in Evidence]
    return grades.index(grade) if grade in grades else len(grades)


def _margins(plan: Plan) -> Iterator[tuple[str, float]]:
    for service in plan.services:
        for key, target_s in service.targets.items():
            for group in service.replica_groups:
                value = group.predicted.seconds(key)
                if value is not None:
                    name = f"{service.name}: {key}" if len(plan.services) > 1 else key
                    yield name, 1 - value / target_s


def _gpus(plan: Plan) -> list[str]:
    """GPU types of the plan, then of its alternatives, cheapest first: what a preview searches among."""
    chosen = [n for g in plan.groups for n in g.gpus_by_type]
    ranked = sorted(plan.alternatives, key=lambda a: a.usd_per_hour)
    others = [a.gpu for a in ranked if a.gpu is not None]
    return list(dict.fromkeys((*chosen, *others)))


def difference_answer(difference: Difference) -> Json:
    """What changed between two plans, and why."""
    return {"increase": difference.increase, **document_json(difference_document(difference))}


def explanation_answer(derivations: Iterable[Derivation], others: Iterable[Beside]) -> Json:
    """Each service's derivation, the textbook's step beside the honest one; what was solved beside it."""
    return {
        "derivations": [asdict(d) for d in derivations],
        "beside": [asdict(b) for b in others],
    }


def sweep_answer(swept: Sweep) -> Json:
    """Points and flips of a sweep as numbers, and its report."""
    axis = swept.axis
    return {
        "axis": {"name": axis.name, "title": axis.title, "quantity": axis.quantity},
        "points": [_point(p) for p in swept.points],
        "flips": [{"low": f.low, "high": f.high} for f in swept.flips],
        "document": document_json(sweep_document(swept)),
    }


def _point(point: SweepPoint) -> Json:
    totals = point.plan.totals
    return {
        "value": point.value,
        "status": point.plan.status,
        "usd_per_hour": totals.usd_per_hour if totals else None,
        "gpus": totals.gpus_rented if totals else None,
        "choice": list(point.choice),
    }
