"""docs/scenario.md names every field that a scenario file may hold."""

import subprocess
import sys

import pytest

from planner import scenario, scenario_fleet, scenario_pools
from planner.documents import Document


def documents(module):
    return [
        d
        for d in vars(module).values()
        if isinstance(d, type) and issubclass(d, Document) and d.__module__ == module.__name__
    ]


@pytest.fixture(scope="module")
def page(repository):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scenario_reference"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_page_is_what_the_documents_say(repository, golden, page):
    golden(repository / "docs" / "scenario.md", page)


@pytest.mark.parametrize(
    "document",
    [
        document
        for document in (
            *documents(scenario),
            *documents(scenario_fleet),
            *documents(scenario_pools),
        )
        if document is not scenario.Target  # written as ttft_p99: 2s
    ],
    ids=lambda document: document.__name__,
)
def test_no_field_is_left_out(page, document):
    for field in document.model_fields:
        if (document, field) not in {(scenario.Slo, "targets"), (scenario.Scenario, "services")}:
            assert f"| `{field}` |" in page
