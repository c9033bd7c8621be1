"""An expert exchange across nodes against published all-to-all latencies."""

from __future__ import annotations

import pytest

from planner.catalog.store import load_catalog
from planner.performance.collectives import expert_exchange, gather_share, link

HOPPER = load_catalog().gpu("h100-sxm-80gb")
TOKENS, HIDDEN, TOP_K = 128, 7168, 8
# DeepEP's low-latency kernels on 400 Gb/s NICs, 128 tokens a rank, top 8 of 7,168 values: dispatch in
# FP8 and combine in BF16 [s] (github.com/deepseek-ai/DeepEP docs/legacy.md)
PUBLISHED = {16: 118e-6 + 195e-6, 32: 155e-6 + 273e-6, 64: 173e-6 + 314e-6}


@pytest.mark.parametrize("ranks", PUBLISHED)
def test_the_bytes_across_nodes_take_about_the_published_time(ranks):
    joined = link(HOPPER, ranks)
    sent = expert_exchange(HOPPER, ranks, TOP_K)
    bytes_each = ranks * TOKENS * HIDDEN * 2 * sent.share
    both = 2 * 0.75 * bytes_each / joined.bytes_s
    assert both == pytest.approx(PUBLISHED[ranks], rel=0.3)


def test_all_messages_leave_at_once():
    for ranks in (16, 32, 64):
        assert expert_exchange(HOPPER, ranks, TOP_K).steps * link(HOPPER, ranks).hops == 1


def test_within_a_node_every_rank_gathers_all_tokens():
    inside = expert_exchange(HOPPER, 8, TOP_K)
    assert (inside.steps, inside.share) == (1.0, gather_share(8))


def test_no_exchange_sends_more_than_gathering_everything():
    for top_k in (1, 8, 64, 256):
        assert expert_exchange(HOPPER, 16, top_k).share <= gather_share(16)
