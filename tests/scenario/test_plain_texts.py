"""Plain scenario texts are read by libyaml, and come out as by the loader that reads any text."""

import random
from pathlib import Path

import pytest

from planner.errors import InputError
from planner.scenario.text import yaml_source
from planner.scenario.text.yaml_source import parse_source

TEXTS = [
    path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))
]
CHARACTERS = "abz019 _,.:/{}[]()=<$#;~+\n--  \n: "


def read(text: str) -> str:
    try:
        return repr(parse_source(text, "x.yaml"))
    except InputError as error:
        return str(error)


def damaged(chance: random.Random) -> str:
    """A shipped scenario's beginning with a few characters changed."""
    text = [c for c in chance.choice(TEXTS)[: chance.randrange(20, 400)] if c in CHARACTERS]
    for _ in range(chance.randrange(1, 5)):
        text.insert(chance.randrange(len(text) + 1), chance.choice(CHARACTERS))
    return "".join(text)


def test_both_loaders_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(0)
    texts = [*TEXTS, "", "a", "- 1", *(damaged(chance) for _ in range(300))]
    assert sum(map(yaml_source._is_plain, texts)) > 300
    quick = [read(text) for text in texts]
    monkeypatch.setattr(yaml_source, "_is_plain", lambda _text: False)
    assert quick == [read(text) for text in texts]


@pytest.mark.parametrize(
    "text", ["a: 'b'", "a: &b 1", "--- a", "a:\tb", "a: é", "[" * 200, "- " * 40]
)
def test_other_texts_are_not_plain(text: str) -> None:
    assert not yaml_source._is_plain(text)
