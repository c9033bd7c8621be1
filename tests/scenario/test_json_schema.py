"""The JSON Schema of a scenario says yes to what the reader reads, and no to what it refuses."""

import json

import jsonschema
import pytest
import yaml

from planner.errors import InputError
from planner.scenario.examination import examined
from planner.scenario.json_schema import scenario_schema
from planner.scenario.reader import shipped_scenarios
from planner.scenario.template import Answers, commented_scenario
from planner.scenario.text.yaml_source import parse_source

SHIPPED = shipped_scenarios()
VALIDATOR = jsonschema.Draft202012Validator(scenario_schema())
GOOD = """\
model: m
rate: 5
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 1s}
"""


def fits(text):
    return VALIDATOR.is_valid(yaml.safe_load(text))


def is_read(text):
    try:
        return not examined(parse_source(text, "my.yaml"), None, "my", None)[1]
    except InputError:
        return False


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(scenario_schema())


@pytest.mark.parametrize("path", SHIPPED.values(), ids=list(SHIPPED))
def test_shipped_scenarios_fit_it_and_name_it(path):
    text = path.read_text(encoding="utf-8")
    VALIDATOR.validate(yaml.safe_load(text))
    comment = text.splitlines()[0]
    assert comment.startswith("# yaml-language-server: $schema=")
    assert (path.parent / comment.partition("=")[2]).is_file()


def test_the_shipped_schema_is_today_s():
    shipped = next(iter(SHIPPED.values())).parent / "scenario.schema.json"
    assert json.loads(shipped.read_text(encoding="utf-8")) == scenario_schema(), (
        "write it again: planner schema -o scenarios/scenario.schema.json"
    )


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("500", "8k"),
        GOOD.replace("500", "{mean: 8k, cv: 1.2, max: 32k}"),
        GOOD.replace("500", "{quantiles: {0.1: 10, 0.9: 2k}}"),
        GOOD.replace("rate: 5", "rate: 20/s"),
        GOOD.replace("rate: 5", "rate: 20 req/s"),
        GOOD.replace("1s}", "1s, itl_p99.9: 0.2, goodput: 0.9}"),
        GOOD + "search: {gpus: h100, tensor_parallel: [1, 2], disaggregation: true}\n",
        GOOD + "search: {data_parallel: auto, settings: {max_num_seqs: 4}}\n",
        GOOD + "routing: {policy: random, start_up: 5m}\n",
        GOOD + "feeding: {routing: random}\nbeside: [a]\n",
        GOOD + "limits: {stock: {h100: 3}, quotas: [{max_gpus: 3, gpu: h100}]}\n",
        GOOD + "existing: [{gpu: h100, nodes: 2}]\nfailures: {replicas: 1}\n",
        GOOD + "assurance: null\n",
        GOOD + "assurance: 0.8\n",
        GOOD + "assurance: 80%\n",
        GOOD + "assurance: none\n",
        GOOD + "assurance: {probability: 0.9, demand_cv: 0.1}\n",
        GOOD + "ownership: {pue: 1.2, tariff: {mid: 0.1, low: 0.06, high: 0.3}}\n",
        GOOD.replace("rate: 5", "rate: 100k/day"),
        "slo: {ttft_p99: 1s}\nservices: [{model: m, rate: 1, prompt_tokens: 5, output_tokens: 6}]\n",
    ],
)
def test_what_is_read_fits(text):
    assert is_read(text)
    assert fits(text)


@pytest.mark.parametrize(
    "text",
    [
        "model: m\n",
        GOOD + "budget: 5\n",
        GOOD.replace("rate: 5", "rate: fast"),
        GOOD.replace("rate: 5", "rate: -5"),
        GOOD.replace("500", "0"),
        GOOD.replace("500", "many"),
        GOOD.replace("ttft_p99: 1s", "ttf_p99: 1s"),
        GOOD.replace("{ttft_p99: 1s}", "{}"),
        GOOD + "search: {gpu: h100}\n",
        GOOD + "limits: {max_gpus: 1.5}\n",
        GOOD + "allow_lower_precision: maybe\n",
        GOOD + "assurance: 80\n",
        GOOD + "assurance: high\n",
        GOOD + "ownership: {pue: cheap}\n",
        GOOD + "routing: {policy: randm}\n",
    ],
)
def test_what_is_refused_does_not_fit(text):
    assert not is_read(text)
    assert not fits(text)


@pytest.mark.parametrize(
    "answers",
    [
        Answers("Qwen/Qwen3-8B"),
        Answers("./my model/config.json", rate="20/s", prompt_tokens="8k", gpus="h100, l40s"),
        Answers('odd: "name" # [x]', gpus="[h100]"),
    ],
)
def test_the_template_is_a_scenario(answers):
    text = commented_scenario(answers)
    assert is_read(text)
    assert fits(text)
    data = yaml.safe_load(text)
    assert data["model"] == answers.model
    assert data["search"]["gpus"] in ("all", ["h100", "l40s"], ["h100"])
