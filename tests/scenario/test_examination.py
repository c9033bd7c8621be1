"""Every problem of a scenario file in one go, each with its own line and the field that was meant."""

import pickle

import pytest

from planner.errors import InputError, ScenarioErrors
from planner.scenario.examination import examined
from planner.scenario.field_names import dotted_fields, fields_of, suggestion
from planner.scenario.synonyms import MEANS
from planner.scenario.text.yaml_source import parse_source

GOOD = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 5
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 1s, tpot_p99: 60ms}
"""


def problems(text, catalog=None):
    try:
        source = parse_source(text, "my.yaml")
    except InputError as error:
        return [str(error)]
    return [str(p) for p in examined(source, None, "my", catalog)[1]]


def places(text, catalog=None):
    return [p.split(": ")[0] for p in problems(text, catalog)]


def test_all_problems_of_a_file_at_once(catalog):
    text = (
        "model: meta-llama/Llama-3.1-9B-Instruct\nqps: 5\nprompt_tokens: 8k\noutput_tokens: -1\n"
        "slo: {ttft_p99: 1s, tpot_p99: fast}\nbudget: 30\nsearch: {gpus: [l44], tensor_parallel: [0]}\n"
        "prices: {terms: [weekly]}\nrate: 5\nrate: 6\n"
    )
    assert sorted(places(text, catalog)) == [
        "my.yaml:1, model",
        "my.yaml:10",
        "my.yaml:2, qps",
        "my.yaml:4, output_tokens",
        "my.yaml:5, slo.tpot_p99",
        "my.yaml:6, budget",
        "my.yaml:7, search.gpus",
        "my.yaml:7, search.tensor_parallel.0",
        "my.yaml:8, prices.terms",
    ]


def test_a_good_file_has_none(catalog):
    assert problems(GOOD, catalog) == []


def test_a_wrong_field_hides_no_check_of_the_whole():
    text = GOOD + "prompt_tokens2: 4\nload: {hourly: [1, 2]}\narrivals: {process: poisson, cv: 3}\n"
    found = problems(text)
    assert len(found) == 3
    assert any("24 numbers" in p for p in found)
    assert any("gamma or weibull" in p for p in found)


def test_a_field_shared_by_all_services_is_complained_of_once():
    text = (
        "slo: {ttft_p99: never}\nservices:\n"
        "  - {name: a, model: m, rate: 1, prompt_tokens: 5, output_tokens: 5}\n"
        "  - {name: b, model: m, rate: -2, prompt_tokens: 5, output_tokens: 5}\n"
    )
    assert places(text) == ["my.yaml:1, slo.ttft_p99", "my.yaml:4, services.1.rate"]


def test_a_required_field_under_another_word_is_not_called_missing_too():
    found = problems(GOOD.replace("rate", "qps"))
    assert len(found) == 1
    assert "did you mean 'rate'?" in found[0]


def test_missing_fields_are_all_named():
    found = problems("model: m\n")
    assert [p for p in found if "is required" in p] == found
    assert len(found) == 4


def test_several_problems_survive_a_process_boundary():
    errors = ScenarioErrors([InputError("one", where="a:1"), InputError("two", where="a:2")])
    again = pickle.loads(pickle.dumps(errors))
    assert str(again) == str(errors) == "a:1: one\na:2: two"
    assert again.where == "a:1"


def test_thousands_of_problems_are_counted_not_printed():
    errors = ScenarioErrors([InputError("one", where=f"a:{n}") for n in range(1000)])
    assert len(errors.shown) == 41
    assert errors.shown[-1] == "and 960 more problems"


@pytest.mark.parametrize(
    ("word", "parent", "field"),
    [
        ("qps", "", "rate"),
        ("budget", "", "limits.max_cost_usd_per_hour"),
        ("stock", "", "limits.stock"),
        ("gpus", "", "search.gpus"),
        ("max_gpus", "", "limits.max_gpus"),
        ("gpus", "quotas", "gpu"),
        ("tp", "search", "tensor_parallel"),
        ("tensor-parallel-size", "", "search.tensor_parallel"),
        ("dtype", "search", "weights"),
        ("budget", "limits", "max_cost_usd_per_hour"),
        ("max_num_seqs", "search", "search.settings.max_num_seqs"),
        ("memory_fracton", "settings", "memory_fraction"),
        ("ttft_p90", "", None),
        ("xyzzy", "", None),
    ],
)
def test_a_word_that_means_a_field_suggests_it(word, parent, field):
    assert suggestion(word, parent) == field


def test_every_suggestion_is_a_field():
    known = {*dotted_fields(), *fields_of(""), "limits.quotas", "assurance.probability"}
    assert not [field for field in MEANS.values() if field not in known]
    assert not [word for word in MEANS if word in fields_of("")]


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("prompt_tokens: 500", "prompt_tokens: 8k", 8000),
        ("prompt_tokens: 500", "prompt_tokens: 1.5K", 1500),
        ("prompt_tokens: 500", "prompt_tokens: {mean: 8k}", 8000),
        ("prompt_tokens: 500", "prompt_tokens: 1M", 1e6),
        ("prompt_tokens: 500", "prompt_tokens: 2k tokens", 2000),
    ],
)
def test_tokens_in_thousands(old, new, value):
    scenario, found = examined(parse_source(GOOD.replace(old, new), "my.yaml"), None, "my", None)
    assert found == ()
    assert scenario.services[0].prompt_tokens.mean == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20/s", 20),
        ("20 req/s", 20),
        ("1200/min", 20),
        ("72000 per hour", 20),
        ("20 qps", 20),
        ("1728000/day", 20),
        ("1.728M/day", 20),
        ("72k per hour", 20),
        ("0.5/s", 0.5),
    ],
)
def test_a_rate_with_its_unit(text, value):
    source = parse_source(GOOD.replace("rate: 5", f"rate: {text}"), "my.yaml")
    scenario, found = examined(source, None, "my", None)
    assert found == ()
    assert scenario.services[0].rate == pytest.approx(value)


@pytest.mark.parametrize("text", ["20/fortnight", "fast/s", "20", '"20"', "8q", "20/s/s"])
def test_what_is_no_rate_is_refused(text):
    found = problems(GOOD.replace("rate: 5", f"rate: '{text.strip(chr(34))}'"))
    assert len(found) == 1
    assert "rate must be a number" in found[0]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (GOOD + "---\n" + GOOD, "my.yaml:6", "two YAML documents"),
        (GOOD.replace("rate: 5", "rate:\u00a05"), "my.yaml:2", "NO-BREAK SPACE (U+00A0)"),
        (GOOD.replace("rate: 5", "rate: \u00a05"), "my.yaml:2", "NO-BREAK SPACE"),
        (GOOD.replace("rate:", "\u200brate:"), "my.yaml:2", "ZERO WIDTH SPACE"),
        (GOOD + "search:\n\u00a0\u00a0gpus: [l4]\n", "my.yaml:7", "NO-BREAK SPACE"),
    ],
)
def test_text_that_looks_right_and_is_not(text, place, words):
    found = problems(text)
    assert any(p.startswith(place) and words in p for p in found), found


def test_invisible_spaces_inside_prose_are_left_alone():
    assert problems(GOOD + "description: about 5\u00a0k users  # \u00a0 comment\n") == []


def test_a_field_is_dotted_from_the_top_of_the_file():
    dotted = {"extras.egress.gb_per_month", "search.settings.kv_offload.disk", "load.hourly"}
    assert dotted <= set(dotted_fields())
