"""A service split by request length: which requests a bucket holds, and how many come."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from planner.scenario.fleet import Buckets
from planner.workload.lengths import ATOMS, JointLengths

MIXED_ATOMS = (
    4 * ATOMS
)  # as many as one service has leave the mean output of a mix 5 % off at worst, these 1.4 %


@dataclass(frozen=True, slots=True, eq=False)
class Bucket:
    """Requests of one length class: ``share`` of the service's requests, with their own lengths."""

    key: str
    share: float
    lengths: JointLengths


def buckets_of(service: str, lengths: JointLengths, bounds: Buckets | None) -> tuple[Bucket, ...]:
    """The service's buckets that hold requests, short prompts first; one of all where none are asked."""
    if bounds is None:
        return (Bucket(service, 1.0, lengths),)
    prompt = np.searchsorted(np.array(bounds.prompt_tokens), lengths.prompt)
    output = np.searchsorted(np.array(bounds.output_tokens), lengths.output)
    found = []
    for i, j in itertools.product(
        range(len(bounds.prompt_tokens) + 1), range(len(bounds.output_tokens) + 1)
    ):
        inside = (prompt == i) & (output == j)
        if inside.any():
            named = (
                _range("prompt", bounds.prompt_tokens, i),
                _range("output", bounds.output_tokens, j),
            )
            found.append(
                Bucket(
                    f"{service} ({', '.join(n for n in named if n)})",
                    float(inside.mean()),
                    replace(lengths, prompt=lengths.prompt[inside], output=lengths.output[inside]),
                )
            )
    return tuple(found)


def served_lengths(buckets: Iterable[Bucket], rates_qps: Mapping[str, float]) -> JointLengths:
    """The requests a replica gets when each bucket sends it so many a second, as equally likely pairs."""
    sent = [(b.lengths, rates_qps.get(b.key, 0.0)) for b in buckets]
    total = sum(rate for _, rate in sent)
    if len(sent) == 1 or total <= 0:
        return sent[0][0]
    prompt, output = [], []
    for lengths, rate in sent:
        atoms = math.ceil(MIXED_ATOMS * rate / total)
        chosen = np.arange(atoms) * len(lengths.prompt) // max(atoms, 1)
        prompt.append(lengths.prompt[chosen])
        output.append(lengths.output[chosen])
    first = sent[0][0]
    return replace(first, prompt=np.concatenate(prompt), output=np.concatenate(output))


def _range(what: str, bounds: tuple[int, ...], position: int) -> str:
    if not bounds:
        return ""
    if position == len(bounds):
        return f"{what} > {bounds[-1]}"
    return f"{what} <= {bounds[position]}"
