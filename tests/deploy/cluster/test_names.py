"""Whatever a service is called, its files get names that a cluster accepts."""

import re

from hypothesis import given
from hypothesis import strategies as st

from planner.deploy.cluster.names import MAX_LENGTH, dns_label, unique_labels

LABEL = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")


@given(st.text(max_size=120))
def test_any_text_becomes_a_label(text):
    label = dns_label(text)
    assert LABEL.match(label)
    assert len(label) <= MAX_LENGTH


@given(st.lists(st.sampled_from(["a b", "a-b", "a_b", "A B", "x" * 90, "x" * 91, "", "9"])))
def test_labels_do_not_fall_together(names):
    labels = unique_labels(names)
    assert len(set(labels)) == len(names)
    assert all(LABEL.match(label) and len(label) <= MAX_LENGTH for label in labels)


def test_readable_names_stay_readable():
    assert dns_label("llama70b_qps50") == "llama70b-qps50"
    assert dns_label("70B chat!") == "s-70b-chat"
    assert unique_labels(["chat", "Chat", "chat"]) == ["chat", "chat-2", "chat-3"]
