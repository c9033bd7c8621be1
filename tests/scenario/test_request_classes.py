"""Request classes in a scenario file: what they may say, and what is said where they are wrong."""

from __future__ import annotations

import copy

import pytest
import yaml

from planner.errors import InputError, ScenarioErrors
from planner.scenario.reader import read_scenario
from planner.scenario.request_classes import levels_of
from planner.scenario.schema import Scenario, Service
from planner.workload.lengths import lengths_of

TWO = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 40,
    "classes": [
        {
            "name": "chat",
            "share": 0.4,
            "priority": 1,
            "prompt_tokens": {"mean": 800, "cv": 1},
            "output_tokens": 200,
            "slo": {"ttft_p99": "1s", "tpot_p99": "60ms"},
        },
        {
            "name": "digest",
            "share": 0.6,
            "prompt_tokens": 3000,
            "output_tokens": {"mean": 400, "cv": 1},
            "slo": {"e2e_p95": "5m"},
        },
    ],
}


def read(tmp_path, change=lambda data: None):
    data = copy.deepcopy(TWO)
    change(data)
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return read_scenario(path)


def in_class(number, **fields):
    return lambda data: data["classes"][number].update(fields)


def at_top(**fields):
    return lambda data: data.update(fields)


def by_rates(data):
    data.pop("rate")
    for c, rate in zip(data["classes"], ("10/s", "1800/min"), strict=True):
        c.pop("share")
        c["rate"] = rate


def test_targets_are_held_by_class(tmp_path):
    (service,) = read(tmp_path).services
    targets = {t.key: t.seconds for t in service.slo.targets}
    assert targets == {"chat/ttft_p99": 1, "chat/tpot_p99": 0.06, "digest/e2e_p95": 300}
    assert levels_of(service.classes) == {"chat": 0, "digest": 1}


def test_what_is_written_reads_back(tmp_path):
    scenario = read(tmp_path)
    text = scenario.model_dump_json()
    assert Scenario.model_validate_json(text) == scenario
    assert '"prompt_tokens":' not in text.partition('"classes"')[0]


def test_a_service_without_classes_is_written_as_before(tmp_path):
    fields = {
        "model": "m",
        "rate": 1,
        "prompt_tokens": 9,
        "output_tokens": 9,
        "slo": {"ttft_p99": 1},
    }
    assert "classes" not in Service.model_validate(fields).model_dump()


def test_rates_add_up(tmp_path):
    (service,) = read(tmp_path, by_rates).services
    assert service.rate == 40
    assert [c.share for c in service.classes] == [0.25, 0.75]


def test_a_class_takes_the_lengths_of_the_service(tmp_path):
    def change(data):
        data["classes"][1].pop("prompt_tokens")
        data["prompt_tokens"] = 77

    (service,) = read(tmp_path, change).services
    assert service.classes[1].prompt_tokens.mean == 77


def test_a_target_under_slo_goes_before_the_class_s_own(tmp_path):
    (service,) = read(tmp_path, at_top(slo={"chat/ttft_p99": "7s"})).services
    assert service.slo.target("ttft").seconds == 7


def test_services_share_all_but_targets(tmp_path):
    def change(data):
        one = {k: data.pop(k) for k in ("classes", "rate")}
        data["slo"] = {"ttft_p99": "2s"}
        data["prompt_tokens"], data["output_tokens"] = 100, 10
        data["services"] = [{"name": "mixed", **one}, {"name": "plain", "rate": 2}]

    mixed, plain = read(tmp_path, change).services
    assert len(mixed.slo.targets) == 3
    assert [t.key for t in plain.slo.targets] == ["ttft_p99"]


def test_the_mix_has_the_shares_and_the_lengths_of_its_classes(tmp_path):
    (service,) = read(tmp_path).services
    lengths = lengths_of(service)
    chat, digest = (lengths.of_class(n) for n in ("chat", "digest"))
    assert len(chat.prompt) / len(lengths.prompt) == pytest.approx(0.4, abs=1e-3)
    assert chat.mean_prompt == pytest.approx(800, rel=0.01)
    assert (digest.prompt == 3000).all()
    mean = 0.4 * chat.mean_prompt + 0.6 * digest.mean_prompt
    assert lengths.mean_prompt == pytest.approx(mean, rel=1e-3)


WRONG = [
    (in_class(0, share=0.5), "classes", "the shares of the classes must add up to 1"),
    (in_class(0, rate=5), "rate", "rate adds up from the classes"),
    (lambda d: (by_rates(d), d.update(rate=4)), "rate", "rate adds up from the classes"),
    (
        lambda d: (by_rates(d), d["classes"][1].pop("rate")),
        "classes",
        "a class has no rate above 0, where others state theirs",
    ),
    (at_top(slo={"ttft_p99": "1s"}), "slo", "ttft_p99 belongs to a class"),
    (at_top(slo={"nobody/ttft_p99": "1s"}), "slo", "no class is called 'nobody'"),
    (in_class(0, slo={"ttft_p99": "1s", "goodput": 0.9}), "classes", "percentiles of their own"),
    (in_class(0, slo={"itl_p99": "50ms"}), "classes", "gaps between tokens are not known by class"),
    (in_class(0, slo={"ttft_p99": "soon"}), "classes.0.slo.ttft_p99", "expected"),
    (in_class(0, slo={"tftt_p99": "1s"}), "classes.0.slo.tftt_p99", "unknown field"),
    (
        lambda d: (d["classes"][0].update(share=0.01), d["classes"][1].update(share=0.99)),
        "classes",
        "class 'chat' is too rare for targets",
    ),
    (lambda d: d["classes"].pop(), "classes", "a service has 2 to 8 classes"),
    (in_class(1, name="chat"), "classes", "two classes share the name 'chat'"),
    (in_class(1, name="ch at"), "classes.1.name", "should match pattern"),
    (in_class(1, prio=1), "classes.1.prio", "unknown field 'prio'"),
    (in_class(1, priority=-1), "classes.1.priority", "must be greater than or equal to 0"),
    (lambda d: d["classes"][1].pop("prompt_tokens"), "classes.1.prompt_tokens", "is required"),
    (in_class(1, prompt_tokens={"trace": "azure_code_2023"}), "classes", "cannot be a trace"),
    (lambda d: [c.pop("slo") for c in d["classes"]], "classes", "no class has a target"),
    (at_top(search={"disaggregation": True}), "classes", "search.disaggregation does not go"),
    (at_top(buckets={"prompt_tokens": [1000]}), "classes", "buckets does not go with classes"),
    (
        at_top(conversations={"turns": 3, "growth": 50, "think_time": "5s"}),
        "classes",
        "conversations does not go with classes",
    ),
    (
        lambda d: (d.pop("rate"), d.update(job={"requests": "1M", "within": "8h"})),
        "classes",
        "job does not go with classes",
    ),
    (at_top(task="embed"), "classes", "task does not go with classes"),
]


@pytest.mark.parametrize(("change", "where", "message"), WRONG)
def test_what_is_wrong_is_said_where_it_is(tmp_path, change, where, message):
    with pytest.raises(InputError) as found:
        read(tmp_path, change)
    raised = found.value
    problems = raised.problems if isinstance(raised, ScenarioErrors) else (raised,)
    places = {str(p.where).rpartition(", ")[2]: p.what for p in problems}
    assert message in places.get(where, ""), places
    if where in ("classes", "slo", "rate"):
        assert all(p.action for p in problems if message in p.what), raised
