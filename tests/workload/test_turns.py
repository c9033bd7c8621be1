"""Turns of conversations: prompts that grow by what was said, and what a cache of some room knows of them."""

from __future__ import annotations

import numpy as np
import pytest

from planner.scenario.conversations.fields import Conversations
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Service
from planner.workload.lengths import lengths_of
from planner.workload.recorded_reuse import lru_hits
from planner.workload.turns import sample_turns

STATED = {"turns": 4, "think_time": "20s", "growth": 100, "shared_system_prompt": 500}


def service(**changes) -> Service:
    fields = {
        "model": "m",
        "rate": 10.0,
        "prompt_tokens": 1000,
        "output_tokens": 50,
        "slo": {"ttft_p99": "2s"},
        "conversations": STATED,
        "routing": {"policy": "prefix-aware"},
    }
    return Service.model_validate({**fields, **changes})


def test_a_prompt_is_the_history_and_its_growth():
    talk = Conversations.model_validate(STATED)
    rng = np.random.default_rng(1)
    turns = sample_turns(talk, Lengths(mean=1000), Lengths(mean=50), 2, rng)
    assert turns.prompt.tolist() == [1000, 1150, 1300, 1450] * 2
    assert turns.pause_s.tolist() == [20, 20, 20, np.inf] * 2
    assert turns.per_conversation == 4


def test_a_conversation_ends_before_it_exceeds_the_context():
    talk = Conversations.model_validate({**STATED, "max_context": 1400})
    turns = sample_turns(talk, Lengths(mean=1000), Lengths(mean=50), 3, np.random.default_rng(1))
    assert turns.prompt.tolist() == [1000, 1150, 1300] * 3
    assert np.isinf(turns.pause_s[2::3]).all()


def test_lengths_are_those_of_turns_and_most_of_them_repeat():
    lengths = lengths_of(service())
    assert lengths.mean_prompt == 1225
    # the first turn repeats the system prompt, each later one all that its conversation held
    assert lengths.reuse.repeated[:4].tolist() == [500, 1049, 1199, 1349]
    assert lengths.computed[:4].tolist() == [500, 101, 101, 101]


def test_room_decides_what_is_found():
    """(1) with X = 20 s: 10 turns/s leave about 775 tokens each, so 155,000 hold every history for 20 s."""
    reuse = lengths_of(service()).reuse
    assert reuse.cached(1e9, 10.0).sum() > 0.97 * reuse.repeated.sum()
    found = reuse.cached(100_000, 10.0)
    assert set(found.tolist()) == {496}  # whole blocks of the system prompt alone
    assert (reuse.cached(220_000, 10.0)[1:4] > 1000).all()


def test_a_router_that_does_not_look_loses_histories():
    looks = lengths_of(service()).reuse.cached(1e9, 1.0).sum()
    blind = lengths_of(service(routing={"policy": "random"})).reuse
    assert blind.cached(1e9, 10.0).sum() == looks  # one replica: nowhere else to go
    assert blind.cached(1e9, 1.0).sum() < 0.75 * looks


def test_a_cache_that_forgets_holds_the_blocks_used_last():
    prompts = [(1, 2, 3), (4, 5, 6), (1, 2, 3), (4, 5, 6)]
    assert lru_hits(prompts, 6).tolist() == [0, 0, 3, 3]
    assert lru_hits(prompts, 4).tolist() == [0, 0, 1, 1]
    assert lru_hits(prompts, 0).tolist() == [0, 0, 0, 0]


def test_a_recording_is_taken_with_its_blocks():
    lengths = lengths_of(
        service(
            conversations={"trace": "mooncake_conversation"},
            rate=2.86,
            prompt_tokens={"trace": "mooncake_conversation"},
            output_tokens={"trace": "mooncake_conversation"},
        )
    )
    share = lengths.reuse.repeated.sum() / lengths.prompt.sum()
    assert share == pytest.approx(0.064, abs=0.001)
    assert lengths.reuse.cached(0.0, 1.0).sum() == 0
