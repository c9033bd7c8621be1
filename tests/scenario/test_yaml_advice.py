"""A text that is not YAML is answered with what to do about it, and where the mistake began."""

from __future__ import annotations

import pytest

from planner.errors import InputError
from planner.scenario.text.yaml_source import parse_source


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("model: [a\nrate: 5\n", "of line 1 with ]"),
        ("slo: {ttft_p99: 1s\nrate: 5\n", "of line 1 with }"),
        ("model: a\n\trate: 5\n", "spaces"),
        ("model: a: b\n", "': '"),
        ('rate: 5\nmodel: "x\n', "quote of line 2"),
        ("rate: 5\nmodel: 'x\n", "quote of line 2"),
        ("rate: *nope\n", "begins with *"),
        ("rate: &\n", "* or &"),
        ("model: @x\n", "in quotes"),
        ("model: !!python/object:os.system x\n", "remove the tag"),
        ("%YAML 3.0\nmodel: x", "begins with %"),
        ("model: x\nrate\nslo: 1\n", "colon"),
        ("slo:\n    ttft_p99: 1s\n  tpot_p99: 1s\n", "alike"),
        ('model: "C:\\models"\n', "single quotes"),
        ("model: a\0b\n", "UTF-8"),
        ("", "planner init"),
        ("- a\n", "without the leading dashes"),
        ("a: " + "[" * 5000 + "]" * 5000, "brackets"),
    ],
)
def test_each_mistake_has_its_next_action(text: str, action: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_source(text, "mine.yaml")
    assert "next:" in str(caught.value)
    assert action in str(caught.value).rpartition("next:")[2]


def test_a_field_given_twice_says_what_to_do() -> None:
    (problem,) = parse_source("rate: 1\nrate: 2\n", "mine.yaml").problems
    assert "keep one" in str(problem)
