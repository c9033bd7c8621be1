"""A target without its percentile is named, from a file as from ``--set``."""

from __future__ import annotations

import pytest

from planner.errors import InputError
from planner.scenario.reader import validate
from planner.scenario.text.yaml_source import parse_source

TEXT = "model: gpt2\nrate: 1\nprompt_tokens: 10\noutput_tokens: 10\nslo: {%s}\n"


def refused(slo: str) -> InputError:
    with pytest.raises(InputError) as error:
        validate(parse_source(TEXT % slo, "chat.yaml"))
    return error.value


@pytest.mark.parametrize("metric", ["ttft", "tpot"])
@pytest.mark.parametrize("beside", ["", ", e2e_p99: 9s", ", goodput: 0.9"])
def test_a_metric_alone_suggests_its_percentile(metric: str, beside: str) -> None:
    error = refused(f"{metric}: 1s{beside}")
    assert f"unknown field '{metric}'" in str(error)
    assert f"did you mean '{metric}_p99'?" in str(error)
    assert "at least one target" not in str(error)


def test_no_target_at_all_asks_for_one() -> None:
    assert "give at least one target" in str(refused(""))
    assert "give at least one target" in str(refused("goodput: 0.9"))
