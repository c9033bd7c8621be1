"""Conversations in a scenario: forms, the rate's unit, and a message for each thing that cannot be."""

from __future__ import annotations

import pytest

from planner.errors import InputError
from planner.scenario.reader import validate
from planner.scenario.schema import Scenario
from planner.scenario.text.yaml_source import parse_source

GOOD = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 4
prompt_tokens: 3k
output_tokens: 200
slo: {ttft_p99: 2s}
conversations:
  turns: 8
  think_time: 20s
  growth: 500
  shared_system_prompt: 1k
"""


def read(text):
    return validate(parse_source(text, "talk.yaml"))


def test_numbers_durations_and_distributions_are_read():
    talk = read(GOOD).services[0].conversations
    assert (talk.turns.mean, talk.think_time.mean, talk.growth.mean) == (8, 20, 500)
    assert talk.shared_system_prompt == 1000
    spread = read(
        GOOD.replace("turns: 8", "turns: {mean: 8, cv: 1, max: 50}")
        .replace("think_time: 20s", "think_time: {quantiles: {0: 1s, 0.5: 30s, 1: 10m}}")
        .replace("growth: 500", "growth: {mean: 1k, cv: 2}")
    )
    talk = spread.services[0].conversations
    assert talk.think_time.quantiles == {0.0: 1.0, 0.5: 30.0, 1.0: 600.0}
    assert talk.growth.cv == 2


def test_a_rate_of_conversations_counts_their_turns():
    assert read(GOOD.replace("rate: 4", "rate: 0.5 conversations/s")).services[0].rate == 4
    per_minute = read(GOOD.replace("rate: 4", "rate: 30 conversations/min"))
    assert per_minute.services[0].rate == pytest.approx(4)


def test_a_plan_keeps_the_question():
    scenario = read(GOOD)
    assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario
    plain = read(GOOD[: GOOD.index("conversations")])
    assert "conversations" not in plain.model_dump(mode="json")["services"][0]


def test_a_recording_brings_its_lengths():
    text = (
        GOOD[: GOOD.index("prompt_tokens")] + "slo: {ttft_p99: 2s}\nconversations: {trace: mine}\n"
    )
    service = read(text).services[0]
    assert (service.prompt_tokens.trace, service.output_tokens.trace) == ("mine", "mine")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("  turns: 8\n", ""), ["conversations need turns", "{turns: 8, think_time: 20s"]),
        (("turns: 8", "turns: 0"), ["greater than or equal to 1"]),
        (("think_time: 20s", "think_time: soon"), ["think_time", "'soon'"]),
        (("  growth: 500", "  grow: 500"), ["unknown field 'grow'", "growth"]),
        (("shared_system_prompt: 1k", "shared_system_prompt: 4k"), ["prompt_tokens", "4000"]),
        (("shared_system_prompt: 1k", "max_context: 2k"), ["prompt_tokens", "max_context"]),
        (("shared_system_prompt: 1k", "trace: mine"), ["a recorded trace brings its own turns"]),
        (
            ("rate: 4", "rate: 4\nassumptions: {prefix_hit_share: 0.5}"),
            ["prefix_hit_share does not"],
        ),
        (
            ("rate: 4", "rate: 4\nsearch: {disaggregation: true}"),
            ["search.disaggregation does not"],
        ),
    ],
)
def test_what_cannot_be_is_named(change, words):
    with pytest.raises(InputError) as caught:
        read(GOOD.replace(*change))
    for word in words:
        assert word in str(caught.value)


def test_conversations_per_second_need_conversations():
    with pytest.raises(InputError, match="needs conversations with turns"):
        read(GOOD[: GOOD.index("conversations")].replace("rate: 4", "rate: 2 conversations/s"))


def test_kv_offload_is_read_and_its_faults_named():
    text = GOOD + "search: {settings: {kv_offload: {host_memory: 200GB, bandwidth_gb_s: 50}}}\n"
    offload = read(text).services[0].search.settings.kv_offload
    assert (offload.host_memory, offload.bandwidth_gb_s, offload.disk) == (200e9, 50, None)
    with pytest.raises(InputError, match="disk and disk_gb_s go together"):
        read(text.replace("bandwidth_gb_s: 50", "disk: 2TB"))
    with pytest.raises(InputError, match="unknown field 'host_mem'"):
        read(text.replace("host_memory", "host_mem"))
    plain = read(GOOD).services[0].search.settings.model_dump(mode="json")
    assert "kv_offload" not in plain
