"""Fields set in a scenario's text: comments and layout around them stay."""

import json

import pytest
import yaml

from planner.errors import InputError
from planner.scenario.changes import read_change, with_changes
from planner.scenario.reader import shipped_scenarios
from planner.scenario.text.changes import changed_text, scenario_text
from planner.scenario.text.yaml_source import parse_source

TEXT = """\
# a comment
model: a/b
rate: 50   # of requests
slo: {ttft_p99: 2s}  # tight
search:
  gpus: all
  # more
prices: {}
"""


@pytest.mark.parametrize(
    ("option", "old", "new"),
    [
        ("rate=80", "rate: 50 ", "rate: 80 "),
        ("slo.ttft_p99=1s", "{ttft_p99: 2s}", "{ttft_p99: 1s}"),
        ("slo.tpot_p99=60ms", "{ttft_p99: 2s}", "{ttft_p99: 2s, tpot_p99: 60ms}"),
        ("search.gpus=[l40s, h100]", "gpus: all", "gpus: [l40s, h100]"),
        ("search.engines=[vllm]", "gpus: all", "gpus: all\n  engines: [vllm]"),
        ("search={gpus: all}", "  gpus: all\n  # more", "  {gpus: all}"),
        ("prices.terms=[spot]", "prices: {}", "prices: {terms: [spot]}"),
        ("failures.nodes=1", "prices: {}", "prices: {}\nfailures: {nodes: 1}"),
        ("name=no", "prices: {}", "prices: {}\nname: false"),
        ("name='no'", "prices: {}", "prices: {}\nname: 'no'"),
    ],
)
def test_one_field_changes_and_nothing_else(option, old, new):
    assert changed_text(TEXT, [read_change(option)], "x") == TEXT.replace(old, new)


@pytest.mark.parametrize("name", shipped_scenarios())
@pytest.mark.parametrize(
    "options", [("description=x", "limits.max_gpus=9", "prices.factors.all=0.9")]
)
def test_the_text_says_what_the_change_does(name, options):
    changes = [read_change(o) for o in options]
    source = parse_source(scenario_text(name), "x")
    text = scenario_text(name, changes)
    assert json.loads(json.dumps(yaml.safe_load(text))) == with_changes(source, changes).data
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in scenario_text(name).splitlines() if line.startswith("#")
    ]


def test_a_service_by_its_name():
    text = scenario_text("fleet_day_and_night", [read_change("services.chat.rate=70")])
    assert "    rate: 70\n" in text
    with pytest.raises(InputError, match="services of this file have rate"):
        scenario_text("fleet_day_and_night", [read_change("rate=70")])
