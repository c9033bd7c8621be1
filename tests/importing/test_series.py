"""Samples of the text format and of JSON answers."""

import pytest

from planner.errors import InputError
from planner.importing.series import Series, read_answer, read_exposition


@pytest.mark.parametrize(
    ("line", "labels", "time_s", "value"),
    [
        ("x 1", {}, None, 1.0),
        ("x{} 2.5e3", {}, None, 2500.0),
        ('x{a="b",c="d e"} 3 1764460800000', {"a": "b", "c": "d e"}, 1764460800.0, 3.0),
        ('x{a="b"} 3 1764460800.5', {"a": "b"}, 1764460800.5, 3.0),
        (r'x{a="say \"hi\"\n\\"} 4', {"a": 'say "hi"\n\\'}, None, 4.0),
        ('x{a="}{"} 5 # {trace_id="1"} 0.2', {"a": "}{"}, None, 5.0),
        ('x {a="b"} 6', {"a": "b"}, None, 6.0),
    ],
)
def test_a_sample_is_read(line, labels, time_s, value):
    (found,) = read_exposition(f"# TYPE x counter\ny 7\n{line}\n", "f", {"x"})
    assert found == Series("x", labels, ((time_s, value),))


def test_what_is_not_a_number_is_left_out():
    assert read_exposition("x NaN\nx +Inf\n", "f", {"x"}) == []
    with pytest.raises(InputError, match="not a sample"):
        read_exposition("x\n", "f", {"x"})


def test_a_counter_rises_over_its_resets():
    one = Series("x", {}, ((0.0, 5.0), (1.0, 9.0), (2.0, 2.0), (3.0, 3.0)))
    assert one.increase == 4 + 2 + 1


@pytest.mark.parametrize("kind", ["vector", "matrix"])
def test_both_kinds_of_responses_are_read(kind):
    points = {"value": [1, "2"]} if kind == "vector" else {"values": [[1, "2"], [2, "NaN"]]}
    result = [{"metric": {"__name__": "x", "le": "1"}, **points}]
    answer = {"status": "success", "data": {"resultType": kind, "result": result}}
    assert read_answer(answer, "f", {"x"}) == [Series("x", {"le": "1"}, ((1.0, 2.0),))]
    assert read_answer(answer, "f", {"y"}) == []
