"""Whole documents of hand-made plans, word for word (pytest --regenerate-golden rewrites them)."""

import plan_builder as build
import pytest

from planner.comparison.differences import diff
from planner.comparison.options import compare
from planner.comparison.sweeps import axis_named, sweep
from planner.reporting.formats import markdown
from planner.reporting.plan.plan_document import plan_document
from planner.reporting.studies.comparison_document import comparison_document
from planner.reporting.studies.difference_document import difference_document
from planner.reporting.studies.sweep_document import sweep_document


def by_degree(scenario):
    (degree,) = scenario.services[0].search.tensor_parallel
    return build.plan(
        scenario,
        groups=(build.group(tensor_parallel=degree),),
        nodes=(build.node(count=12 // degree),),
    )


def by_rate(scenario):
    gpu = "l40s" if scenario.services[0].rate < 40 else "h100"
    return build.plan(
        scenario,
        groups=(build.group(gpu=gpu),),
        nodes=(build.node(gpu=gpu, count=int(scenario.services[0].rate // 10)),),
    )


def report(findings):
    return plan_document(findings)


def comparison(_):
    return comparison_document(
        compare(build.scenario(), {"tensor_parallel": ("2", "4")}, by_degree)
    )


def difference(_):
    new = build.plan(
        build.scenario(rate=60, slo={"ttft_p99": "1s"}),
        groups=(build.group(replicas=6, gpus=24), build.group(gpu="b200", replicas=1, gpus=4)),
        nodes=(build.node(count=4, usd_per_hour_each=18.0),),
        warnings=(),
    )
    return difference_document(diff(build.plan(), new))


def swept(_):
    return sweep_document(sweep(build.scenario(), axis_named("rate"), (10, 30, 50, 70), by_rate))


DOCUMENTS = (report, comparison, difference, swept)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents(document, findings, golden, repository):
    path = repository / "tests" / "golden" / "reporting" / f"{document.__name__}.md"
    golden(path, markdown.render(document(findings)))


def test_no_golden_document_without_its_test(repository):
    folder = repository / "tests" / "golden" / "reporting"
    assert {p.stem for p in folder.iterdir()} == {document.__name__ for document in DOCUMENTS}
