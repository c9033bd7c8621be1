"""docs/reference/scenario.md names every field that a scenario file may hold."""

import subprocess
import sys

import pytest

from planner.scenario import fleet as scenario_fleet
from planner.scenario import lengths as scenario_lengths
from planner.scenario import money as scenario_money
from planner.scenario import schema as scenario
from planner.scenario import slo as scenario_slo
from planner.scenario.conversations import fields as scenario_conversations
from planner.scenario.fields import StrictDocument
from planner.scenario.search import disaggregation as scenario_pools
from planner.scenario.search import fields as scenario_search
from planner.scenario.search import kv_offload as scenario_offload
from planner.scenario.search import speculation as scenario_drafts


def documents(module):
    return [
        d
        for d in vars(module).values()
        if isinstance(d, type) and issubclass(d, StrictDocument) and d.__module__ == module.__name__
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
    golden(repository / "docs" / "reference" / "scenario.md", page)


@pytest.mark.parametrize(
    "document",
    [
        document
        for document in (
            *documents(scenario),
            *documents(scenario_lengths),
            *documents(scenario_conversations),
            *documents(scenario_offload),
            *documents(scenario_slo),
            *documents(scenario_fleet),
            *documents(scenario_money),
            *documents(scenario_search),
            *documents(scenario_pools),
            *documents(scenario_drafts),
        )
        if document is not scenario_slo.Target  # written as ttft_p99: 2s
    ],
    ids=lambda document: document.__name__,
)
def test_no_field_is_left_out(page, document):
    for field in document.model_fields:
        if (document, field) not in {
            (scenario_slo.Slo, "targets"),
            (scenario.Scenario, "services"),
        }:
            assert f"| `{field}` |" in page
