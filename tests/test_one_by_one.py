"""Answers one after another, and what Ctrl-C leaves of them."""

import pytest

from planner.one_by_one import one_by_one


def _until(stop):
    def answer(item):
        if item == stop:
            raise KeyboardInterrupt
        return 10 * item

    return answer


def test_every_answer_in_order_and_how_far_it_is():
    seen = []
    answers = one_by_one([1, 2], _until(None), str, lambda *at: seen.append(at))
    assert answers == [10, 20]
    assert seen == [(0, 2, "1"), (1, 2, "2")]


def test_ctrl_c_keeps_what_is_finished_where_that_is_wanted():
    assert one_by_one([1, 2, 3], _until(3), str, keeps=True) == [10, 20]
    with pytest.raises(KeyboardInterrupt):
        one_by_one([1, 2, 3], _until(3), str)
    with pytest.raises(KeyboardInterrupt):  # nothing is finished
        one_by_one([1, 2, 3], _until(1), str, keeps=True)
