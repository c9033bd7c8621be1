"""Fields set from outside a scenario's file."""

import warnings

import pytest

from planner.cli.main import main
from planner.errors import AmbiguousNumber, InputError
from planner.scenario.changes import changed, read_change, with_changes
from planner.scenario.reader import validate
from planner.scenario.text.yaml_source import parse_source

ONE = """\
model: m
rate: 5
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 1s}
"""
TWO = """\
slo: {ttft_p99: 1s}
services:
  - {name: chat, model: m, rate: 1, prompt_tokens: 5, output_tokens: 6}
  - {name: code, model: m, rate: 2, prompt_tokens: 5, output_tokens: 6}
"""


def read(text, *changes):
    return validate(with_changes(parse_source(text, "my.yaml"), [read_change(c) for c in changes]))


@pytest.mark.parametrize(
    ("text", "change", "found"),
    [
        (ONE, "rate=80", lambda s: s.services[0].rate == 80),
        (ONE, "rate=1e2", lambda s: s.services[0].rate == 100),
        (ONE, "slo.ttft_p99=3s", lambda s: s.services[0].slo.target("ttft").seconds == 3),
        (ONE, "search.gpus=[h100, l4]", lambda s: s.services[0].search.gpus == ("h100", "l4")),
        (ONE, "limits.max_gpus=3", lambda s: s.limits.max_gpus == 3),
        (ONE, "prompt_tokens.mean=8k", None),
        (ONE, "prompt_tokens=8k", lambda s: s.services[0].prompt_tokens.mean == 8000),
        (TWO, "services.code.rate=9", lambda s: [x.rate for x in s.services] == [1, 9]),
        (TWO, "services.1.rate=9", lambda s: [x.rate for x in s.services] == [1, 9]),
        (TWO, "slo.ttft_p99=3s", lambda s: s.services[1].slo.targets[0].seconds == 3),
        (TWO, "rate=9", None),
        (TWO, "services.cook.rate=9", None),
        (TWO, "services.7.rate=9", None),
        (ONE, "rat=9", None),
        (ONE, "rate=-9", None),
        (ONE, "rate.x=9", None),
    ],
)
def test_a_field_is_set_or_refused_by_the_option_s_name(text, change, found):
    if found is None:
        with pytest.raises(InputError) as caught:
            read(text, change)
        assert str(caught.value).startswith(f"--set {change}"), str(caught.value)
    else:
        assert found(read(text, change))


@pytest.mark.parametrize("text", ["rate", "=5", "", "rate=[", "rate=" + "[" * 5000])
def test_what_is_no_change_is_refused(text):
    with pytest.raises(InputError, match="not a field and its value"):
        read_change(text)


def test_changes_apply_in_turn():
    assert read(ONE, "rate=1", "rate=2").services[0].rate == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("slo.ttft_p99=50", "slo.ttft_p99: 50 without a unit is read as 50 seconds"),
        ("slo={ttft_p99: 50}", "slo.ttft_p99: 50 without a unit is read as 50 seconds"),
        ("rate=010", "rate: 010 is read as 8"),
        ("rate=1:30", "rate: 1:30 is read as 90"),
    ],
)
def test_a_number_is_warned_of_as_in_a_file(change, said):
    with pytest.warns(AmbiguousNumber) as caught:
        read(ONE, change)
    (warning,) = caught
    assert str(warning.message).startswith(f"--set {change}, {said}")


def test_a_number_that_a_change_replaces_is_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(ONE.replace("1s", "1"), "slo.ttft_p99=2s")


def test_a_key_given_twice_is_refused():
    with pytest.raises(InputError, match="'ttft_p99' is given twice"):
        read_change("slo={ttft_p99: 1s, ttft_p99: 2s}")


@pytest.mark.parametrize(
    ("scenario", "change", "said"),
    [
        ("llama70b_qps50", "services.chat.rate=5", "this file has one service"),
        ("llama70b_qps50", "services.chat.rate=5", "set rate=..."),
        ("llama70b_qps50", "search.gpus.0=l4", "set the whole of it: search.gpus='[VALUE]'"),
        ("fleet_day_and_night", "services.chta.rate=5", "allowed: chat, summaries"),
        ("fleet_day_and_night", "services.chta.rate=5", "did you mean 'chat'?"),
        ("llama70b_qps50", "assurance=high", "a probability, such as 0.8 or 80%, or none"),
        ("llama70b_qps50", "assurance=80", "0.8 is 80 %, 80 is more than 1"),
    ],
)
def test_a_change_that_leads_nowhere_says_where_to_go(scenario, change, said, capsys):
    assert main(["validate", scenario, "--set", change]) == 2
    shown = capsys.readouterr()
    assert said in shown.out + shown.err


def test_a_probability_in_percent_is_one(capsys):
    assert main(["validate", "llama70b_qps50", "--set", "assurance=80%"]) == 0


def test_an_entry_of_a_list_is_named_or_numbered():
    data = {"classes": [{"name": "chat", "priority": 1}, {"name": "batch"}]}
    for entry in ("chat", "0"):
        found = changed(data, {f"classes.{entry}.priority": 0})
        assert found["classes"] == [{"name": "chat", "priority": 0}, {"name": "batch"}]
    with pytest.raises(InputError) as caught:
        changed(data, {"classes.chart.priority": 0})
    assert caught.value.allowed == "0 to 1, chat, batch"
