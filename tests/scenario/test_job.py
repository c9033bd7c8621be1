"""Batch jobs as a scenario states them: requests, a start and a window, in place of rate and targets."""

from __future__ import annotations

import json

import pytest

from planner.cli.main import main
from planner.scenario.job import Job
from planner.scenario.json_schema import scenario_schema
from planner.scenario.schema import Scenario, Service

JOB = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "prompt_tokens": 1000,
    "output_tokens": 100,
    "job": {"requests": "864k", "start": 22, "within": "8h"},
}
CHAT = {**JOB, "rate": 3, "slo": {"ttft_p99": "1s"}, "name": "chat"}
CHAT.pop("job")


def test_a_job_has_the_mean_rate_of_its_requests_and_lies_in_the_hours_of_its_window():
    service = Scenario.model_validate(JOB).services[0]
    assert service.rate == pytest.approx(864_000 / 86_400)
    assert service.job.hours == (22, 23, 0, 1, 2, 3, 4, 5)
    assert [h for h, n in enumerate(service.load.hourly) if n] == sorted(service.job.hours)
    assert service.slo.targets == ()


def test_a_job_reads_back_as_it_was_written():
    service = Scenario.model_validate(JOB).services[0]
    written = service.model_dump(mode="json")
    assert not {"rate", "slo", "load", "arrivals"} & written.keys()
    assert Service.model_validate_json(json.dumps(written)) == service
    assert "job" not in Scenario.model_validate(CHAT).services[0].model_dump(mode="json")


def test_fields_above_the_services_that_a_job_replaces_do_not_hold_for_it():
    shared = {key: value for key, value in CHAT.items() if key != "name"}
    both = {**shared, "services": [{"name": "chat"}, {"name": "night", "job": JOB["job"]}]}
    chat, night = Scenario.model_validate(both).services
    assert chat.slo.targets
    assert night.slo.targets == ()
    assert night.rate == pytest.approx(10)


def test_a_job_at_another_rate_has_other_requests():
    service = Scenario.model_validate(JOB).services[0]
    changed = service.model_copy(update=service.rate_change(20.0))
    assert changed.job.requests == pytest.approx(2 * 864_000)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate": 3}, "job replaces rate: leave rate out"),
        ({"slo": {"ttft_p99": "1s"}}, "job replaces slo"),
        ({"load": {"hourly": [1] * 24}}, "job replaces load"),
        ({"job": {"requests": 10, "within": "90m"}}, "whole hours, from 1h to 24h"),
        ({"job": {"requests": 10, "within": "25h"}}, "whole hours, from 1h to 24h"),
        ({"job": {"requests": 10, "within": "8h", "start": 24}}, "less than 24"),
        ({"job": {"within": "8h"}}, "'requests' is required"),
        ({"job": {"requests": 10, "within": "8h", "deadline": 6}}, "unknown field 'deadline'"),
        ({"buckets": {"prompt_tokens": [500]}}, "leave buckets out"),
        ({"search": {"disaggregation": True}}, "leave search.disaggregation out"),
    ],
)
def test_what_a_job_cannot_have_is_refused(change, words, tmp_path, capsys):
    (tmp_path / "s.yaml").write_text(json.dumps({**JOB, **change}, indent=1))
    assert main(["validate", str(tmp_path / "s.yaml")]) == 2
    out, err = capsys.readouterr()
    assert words in (out + err).replace("\n", " ")


def test_a_wrong_field_of_a_job_is_named_with_its_line(tmp_path, capsys):
    text = json.dumps({**JOB, "job": {"requests": 10, "within": "90m"}}, indent=1)
    (tmp_path / "s.yaml").write_text(text)
    assert main(["validate", str(tmp_path / "s.yaml")]) == 2
    out, err = capsys.readouterr()
    assert "s.yaml:7, job.within: " in out + err


def test_the_json_schema_takes_a_job_without_rate_and_targets():
    assert {"required": ["model", "job", "prompt_tokens", "output_tokens"]} in (
        scenario_schema()["anyOf"]
    )


def test_a_whole_day_is_a_window_too():
    assert len(Job(requests=10, within="24h", start=5).hours) == 24
