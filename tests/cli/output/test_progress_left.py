"""Progress over many solves says how long the rest will take."""

import time

import pytest

from planner.cli.shared.progress import counting, rest_text


def test_what_is_left_follows_from_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.0, 104.0, 110.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    said: list[str] = []
    step = counting(said.append)
    for done, label in enumerate(("rate 10", "rate 20", "rate 30")):
        step(done, 11, label)
    assert said == [
        "1/11 rate 10",
        "2/11 rate 20, about 40 s left",
        "3/11 rate 30, about 40 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (7.4, "7 s"), (43.0, "40 s"), (99.0, "100 s"), (190, "3 min")],
)
def test_a_stretch_of_time_is_one_rounded_figure(seconds: float, text: str) -> None:
    assert rest_text(seconds) == text
