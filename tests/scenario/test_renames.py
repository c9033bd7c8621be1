"""Fields under their old names: read with a warning in files, silently in plans."""

import warnings

import pytest

from planner.errors import InputError, RenamedField, ScenarioWarning, UnlikelyNumber
from planner.scenario.reader import shipped_scenarios, validate
from planner.scenario.schema import Routing, Scenario
from planner.scenario.text.yaml_source import parse_source

GOOD = """\
model: m
rate: 5
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 1s}
"""
OLD = GOOD + "feeding: {routing: random, max_queue: 9}\nbeside: [other]\n"


def read(text):
    return validate(parse_source(text, "my.yaml"))


def warned(text):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scenario = read(text)
    return scenario, [(w.category, str(w.message)) for w in caught]


def test_old_names_are_read_with_a_warning_each():
    scenario, found = warned(OLD)
    assert scenario.services[0].routing == Routing(policy="random", max_queue=9)
    assert scenario.compare_with == ("other",)
    assert [kind for kind, _ in found] == [RenamedField] * 3
    texts = sorted(text for _, text in found)
    assert texts[0].startswith("my.yaml:6, feeding.routing: routing is now called policy; ")
    assert texts[1].startswith("my.yaml:6, feeding: feeding is now called routing; ")
    assert texts[2].startswith("my.yaml:7, beside: beside is now called compare_with; ")


def test_old_names_in_a_service_too():
    text = "services:\n  - " + OLD.partition("beside")[0].replace("\n", "\n    ").rstrip() + "\n"
    scenario, found = warned(text)
    assert scenario.services[0].routing.max_queue == 9
    assert len(found) == 2


def test_new_names_need_no_warning():
    new = OLD.replace("feeding: {routing", "routing: {policy").replace("beside", "compare_with")
    scenario, found = warned(new)
    assert scenario.model_dump() == warned(OLD)[0].model_dump()
    assert found == []


def test_a_plan_with_old_names_is_read_silently():
    document = read(GOOD).model_dump(mode="json")
    (service,) = document["services"]
    routing = service.pop("routing")
    routing["routing"] = routing.pop("policy")
    service["feeding"] = routing
    document["beside"] = document.pop("compare_with")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScenarioWarning)
        assert Scenario.model_validate(document) == read(GOOD)


def test_both_names_at_once_are_refused():
    with pytest.raises(InputError, match="old name of routing, which is given too"):
        read(GOOD + "feeding: {max_queue: 9}\nrouting: {max_queue: 8}\n")


def test_a_complaint_below_an_old_name_has_its_line():
    with pytest.raises(InputError, match=r"my\.yaml:6, feeding\.routing: must be 'round-robin'"):
        read(GOOD + "feeding: {routing: randm}\n")


def test_a_rate_beyond_any_service_is_questioned():
    scenario, found = warned(GOOD.replace("rate: 5", "rate: 1e7"))
    ((kind, text),) = found
    assert kind is UnlikelyNumber
    assert text == (
        "my.yaml:2, rate: 10,000,000 requests/s are 8.6e+11 a day; a rate is in requests per second"
    )
    assert scenario.notes == (text,)


def test_shipped_scenarios_use_today_s_names():
    for path in shipped_scenarios().values():
        assert warned(path.read_text(encoding="utf-8"))[1] == []
