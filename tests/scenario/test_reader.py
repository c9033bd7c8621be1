"""Bad scenarios: one clear message with file, line, field, what was found and what is allowed."""

import pytest

from planner.errors import InputError
from planner.scenario.reader import (
    MAX_SCENARIO_BYTES,
    find_scenario,
    read_scenario,
    shipped_scenarios,
    validate,
)
from planner.scenario.schema import Scenario
from planner.scenario.text.yaml_source import parse_source

GOOD = """\
model: meta-llama/Meta-Llama-3-70B-Instruct
rate: 50
prompt_tokens: 1000
output_tokens: 500
slo: {ttft_p99: 2s, tpot_p99: 100ms}
"""


def read(text):
    return validate(parse_source(text, "my.yaml"))


def test_a_flat_file_is_a_fleet_of_one():
    scenario = read(GOOD)
    assert [s.rate for s in scenario.services] == [50]
    assert scenario.services[0].slo.target("ttft").seconds == 2.0
    assert scenario.services[0].search.tensor_parallel == (1, 2, 4, 8)


def test_a_fleet_shares_what_is_above_its_services():
    scenario = read(
        "slo: {ttft_p99: 2s}\nservices:\n"
        "  - {model: a, rate: 1, prompt_tokens: 5, output_tokens: 5}\n"
        "  - {model: b, rate: 2, prompt_tokens: 5, output_tokens: 5, slo: {ttft_p99: 1s}}\n"
    )
    assert [s.slo.targets[0].seconds for s in scenario.services] == [2.0, 1.0]
    assert [s.name for s in scenario.services] == ["service-1", "service-2"]


def test_json_round_trip():
    scenario = read(GOOD)
    assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("rate: 50", "rate: -5"), 2, ["rate", "greater than 0", "-5"]),
        (("rate: 50", "rate: 0"), 2, ["greater than 0"]),
        (("rate: 50", 'rate: "50"'), 2, ["must be a number", "'50'"]),
        (("rate: 50", "rate: .nan"), 2, ["number", "nan"]),
        (("rate: 50", "rate: yes"), 2, ["must be a number", "True"]),
        (("rate: 50", "rat: 50"), 2, ["unknown field 'rat'", "did you mean 'rate'?"]),
        (("2s", "0"), 5, ["slo.ttft_p99", "must be longer than 0"]),
        (("2s", "2 parsecs"), 5, ["ttft_p99", "parsecs"]),
        (
            ("ttft_p99: 2s, tpot_p99: 100ms", "ttft: 2s"),
            5,
            ["unknown field 'ttft'", "did you mean 'ttft_p99'?"],
        ),
        (("1000", "{mean: 3, quantiles: {0.5: 2}}"), 3, ["exactly one of"]),
        (("1000", "{quantiles: {0.1: 20, 0.9: 10}}"), 3, ["must not decrease"]),
        (("1000", "0"), 3, ["greater than or equal to 1"]),
    ],
)
def test_one_message_names_line_and_field(change, line, words):
    with pytest.raises(InputError) as caught:
        read(GOOD.replace(*change))
    message = str(caught.value)
    assert message.startswith(f"my.yaml:{line}"), message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "text",
    ["", "- 1", "rate: [", "a: 1\na: 2", "&a [*a]", "!!python/object/apply:os.system [ls]", "\0"],
)
def test_what_is_no_scenario_is_refused(text):
    with pytest.raises(InputError, match=r"my\.yaml"):
        read(text)


def test_an_alias_bomb_is_refused():
    bomb = "a0: &a0 [x]\n" + "\n".join(
        f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]" for i in range(9)
    )
    with pytest.raises(InputError, match="too large"):
        parse_source(bomb, "bomb.yaml")


def test_a_huge_file_is_refused(tmp_path):
    path = tmp_path / "huge.yaml"
    path.write_text("# " + "x" * MAX_SCENARIO_BYTES)
    with pytest.raises(InputError, match="too large"):
        read_scenario(path)


def test_unknown_file_names_the_nearest_shipped_scenario():
    with pytest.raises(InputError, match="did you mean 'llama70b_qps50'"):
        find_scenario("lama70b_qps50")


def test_scientific_notation_is_a_number():
    assert read(GOOD.replace("rate: 50", "rate: 5e1")).services[0].rate == 50


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("Meta-Llama-3-70B-Instruct", "Meta-Lama-3-70B-Instruct"), ["my.yaml:1", "did you mean"]),
        (("slo:", "search: {gpus: [h100-sxm-81gb]}\nslo:"), ["my.yaml:5", "h100-sxm-80gb"]),
        (("slo:", "prices: {terms: [on-demnd]}\nslo:"), ["my.yaml:5", "on-demand"]),
        (("slo:", "prices: {providers: [awz]}\nslo:"), ["my.yaml:5", "aws"]),
        (("slo:", "prices: {regions: [us-easy-1]}\nslo:"), ["my.yaml:5", "us-east-1"]),
        (("slo:", "search: {engines: [vlm]}\nslo:"), ["my.yaml:5", "vllm"]),
    ],
)
def test_unknown_names_are_found_with_their_line(tmp_path, catalog, change, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(GOOD.replace(*change))
    with pytest.raises(InputError) as caught:
        read_scenario("my.yaml", catalog)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", sorted(shipped_scenarios()))
def test_shipped_scenarios_name_what_exists(name, catalog):
    read_scenario(name, catalog)


def test_eight_scenarios_ship():
    assert len(shipped_scenarios()) >= 8


@pytest.mark.parametrize("line", ['name: "\\ud800"', '"\\ud800": 1'])
def test_half_a_surrogate_pair_is_refused_at_its_line(line):
    with pytest.raises(InputError) as refused:
        parse_source(f"model: m\n{line}\n", "s.yaml")
    assert str(refused.value.where).startswith("s.yaml:2")


def test_a_rate_series_beside_the_scenario_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "r.csv").write_text("window_start_s,rate_rps\n0,1\n", encoding="utf-8")
    file = tmp_path / "s.yaml"
    file.write_text(
        "model: m\nrate: 1\nprompt_tokens: 5\noutput_tokens: 5\nslo: {ttft_p99: 2s}\nload: {series: r.csv}\n",
        encoding="utf-8",
    )
    monkeypatch.chdir("/")
    load = read_scenario(file).services[0].load
    assert load is not None
    assert load.series == str(tmp_path / "r.csv")


def test_a_trace_beside_the_scenario_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("prompt_tokens,output_tokens\n100,20\n300,50\n")
    file = tmp_path / "s.yaml"
    file.write_text(
        "model: m\nrate: 1\nprompt_tokens: {trace: t.csv}\noutput_tokens: 5\nslo: {ttft_p99: 2s}\n"
    )
    monkeypatch.chdir("/")
    assert read_scenario(file).services[0].prompt_tokens.trace == str(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("text", "found", "action"),
    [
        ("- model: x\n- rate: 5\n", "a list of 2", "services go under services"),
        ("model:x\nrate:50\n", "the text 'model:x rate:50'", "put a space after each colon"),
        ("42\n", "42", "planner init"),
        ("true\n", "true", "planner init"),
        ("", "an empty file", "planner init"),
    ],
)
def test_a_file_without_fields_says_what_it_holds(text, found, action):
    with pytest.raises(InputError) as caught:
        parse_source(text, "s.yaml")
    assert caught.value.found == found
    assert action in caught.value.action
