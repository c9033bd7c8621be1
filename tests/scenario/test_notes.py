"""Numbers that YAML or the reader takes otherwise than they look are warned of, and recorded."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from planner.api import solve
from planner.catalog.store import Catalog
from planner.cli.main import main
from planner.errors import AmbiguousNumber
from planner.plan.schema import read_plan
from planner.scenario.notes import notes_on
from planner.scenario.reader import shipped_scenarios
from planner.scenario.schema import Scenario
from planner.scenario.text.yaml_source import parse_source

QUESTION = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: {rate}
prompt_tokens: 500
output_tokens: 100
slo: {{ttft_p99: 2s, tpot_p99: {tpot}}}
search: {{gpus: [l4], weights: [bf16], kv_cache: [bf16], tensor_parallel: [1]}}
"""


def notes(**values: object) -> tuple[str, ...]:
    given = {"rate": 1, "tpot": "200ms", **values}
    return tuple(n.text for n in notes_on(parse_source(QUESTION.format(**given), "question.yaml")))


def test_a_target_without_a_unit_is_seconds_with_a_warning() -> None:
    (note,) = notes(tpot=50)
    assert note == (
        "question.yaml:5, slo.tpot_p99: 50 without a unit is read as 50 seconds; the next release "
        "refuses it: write 50s, or 50ms for milliseconds"
    )


def test_a_target_for_few_requests_is_questioned() -> None:
    text = QUESTION.format(rate=1, tpot="200ms").replace("tpot_p99", "tpot_p9")
    (note,) = (n.text for n in notes_on(parse_source(text, "question.yaml")))
    assert note == (
        "question.yaml:5, slo.tpot_p9: tpot_p9 concerns only the fastest 9 % of requests; a target for "
        "nearly all is tpot_p90 or tpot_p99"
    )
    median = QUESTION.format(rate=1, tpot="200ms").replace("tpot_p99", "tpot_p50")
    assert notes_on(parse_source(median, "question.yaml")) == ()


def test_a_leading_zero_is_octal_with_a_warning() -> None:
    (note,) = notes(rate="010")
    assert note.startswith("question.yaml:2, rate: 010 is read as 8, ")
    assert note.endswith("write 10")


def test_a_colon_is_base_60_with_a_warning() -> None:
    (note,) = notes(rate="1:30")
    assert note.startswith("question.yaml:2, rate: 1:30 is read as 90, ")


@pytest.mark.parametrize("rate", ["0", "0.5", "10", "1e2", "1_000", "0.010"])
def test_plain_numbers_are_what_they_look(rate: str) -> None:
    assert notes(rate=rate) == ()


def test_shipped_scenarios_hold_no_such_number() -> None:
    for path in shipped_scenarios().values():
        assert notes_on(parse_source(path.read_text(encoding="utf-8"), str(path))) == ()


def test_the_warning_is_on_stderr_and_in_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requested, plan = tmp_path / "question.yaml", tmp_path / "plan.json"
    requested.write_text(QUESTION.format(rate="010", tpot=50))
    assert main(["solve", str(requested), "--verify", "none", "--format", "json"]) == 0
    stated = capsys.readouterr()
    assert [line.partition(": ")[0] for line in stated.err.splitlines()] == ["warning", "warning"]
    assert sum("the next release refuses it" in w for w in json.loads(stated.out)["warnings"]) == 2
    plan.write_text(stated.out)
    assert read_plan(plan).scenario.services[0].slo.model_dump()["tpot_p99"] == 50


def test_seconds_that_a_plan_stores_are_read_without_a_warning(catalog: Catalog) -> None:
    requested = {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "rate": 1,
        "prompt_tokens": 500,
        "output_tokens": 100,
        "slo": {"ttft_p99": 2.0, "tpot_p99": 0.2},
        "search": {"gpus": ["l4"], "weights": ["bf16"], "kv_cache": ["bf16"]},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error", AmbiguousNumber)
        plan = solve(Scenario.model_validate(requested), catalogs=catalog, verify="none", rivals=0)
    assert plan.warnings == ()


@pytest.mark.parametrize(
    ("field", "note"),
    [
        ("search: {reserved_memory: 4}", "4 without a unit is read as 4 bytes: write 4GiB"),
        (
            "search: {settings: {kv_offload: {host_memory: 200}}}",
            "200 without a unit is read as 200",
        ),
        ("search: {reserved_memory: 4294967296}", None),
        ("search: {reserved_memory: 4GiB}", None),
        ("search: {reserved_memory: 0}", None),
    ],
)
def test_a_size_of_a_few_bytes_is_questioned(field: str, note: str | None) -> None:
    text = QUESTION.format(rate=1, tpot="200ms")
    text = text[: text.index("search:")] + field
    found = [n.text for n in notes_on(parse_source(text, "question.yaml"))]
    assert found == [] if note is None else note in found[0]
