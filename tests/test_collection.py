"""Garbage is collected seldom while a question is answered, and as the caller had it afterwards."""

import gc
from collections.abc import Iterator

import pytest

from planner.collection import COLLECT_AFTER, collecting_seldom


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_blocks_within_each_other_restore_what_the_caller_had():
    gc.set_threshold(500, 7, 9)
    with collecting_seldom():
        assert gc.get_threshold()[0] == COLLECT_AFTER
        with collecting_seldom():
            pass
        assert gc.get_threshold()[0] == COLLECT_AFTER
    assert gc.get_threshold()[:2] == (500, 7)


def test_a_block_that_fails_restores_it_too():
    gc.set_threshold(500)
    with pytest.raises(ValueError, match="stopped"), collecting_seldom():
        raise ValueError("stopped")
    assert gc.get_threshold()[0] == 500


@pytest.mark.parametrize("first", [0, 2 * COLLECT_AFTER])
def test_a_caller_that_collects_as_seldom_or_never_is_left_alone(first: int):
    gc.set_threshold(first)
    with collecting_seldom():
        assert gc.get_threshold()[0] == first
