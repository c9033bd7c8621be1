"""Prompt and output lengths as one joint distribution: what a request costs before anything runs.

A distribution is held as equally likely pairs (``ATOMS`` of them unless a trace brings its own), so
that every moment, percentile and sample follows from the same numbers. Independent lengths are
paired by a fixed low-discrepancy permutation, which keeps their correlation at zero without chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.scenario.lengths import Lengths
from planner.scenario.request_classes import RequestClass, levels_of
from planner.scenario.schema import Service
from planner.scenario.task import GENERATE
from planner.workload.class_mix import ClassMix, mixed
from planner.workload.length_values import (
    clipped,
    is_constant,
    normal_quantile,
    request_trace,
    tokens_at,
)

if TYPE_CHECKING:
    from planner.workload.prefix_reuse import PrefixReuse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ATOMS = 1024
MOST_KEPT = 64  # 16 kB each
_COLUMNS = ("prompt_tokens", "output_tokens")
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, eq=False)  # no slots: what is derived is kept
class JointLengths:
    """Equally likely (prompt, output) pairs [tokens], at least 1 each.

    ``mean_output`` is over requests; those seen in flight are length-biased. ``generates``:
    False where prompts are pooled: nothing is written, and ``output`` is the one pass over the prompt.
    ``reuse``: what a prefix cache may know of these prompts, for requests that repeat others; ``cached``:
    what it does know of each at one load of one replica, of which ``shared_tokens`` are in every
    prompt and are held once. ``mix``: which class each is of, where several share the replicas.
    """

    prompt: Ints
    output: Ints
    generates: bool = True
    reuse: PrefixReuse | None = None
    cached: Ints | None = None
    shared_tokens: int = 0
    mix: ClassMix | None = None

    def __post_init__(self) -> None:
        if len(self.prompt) == 0 or len(self.prompt) != len(self.output):
            raise InputError("lengths need as many prompts as outputs, and at least one")
        if self.prompt.min() < 1 or self.output.min() < 1:
            raise InputError("a request has at least one prompt and one output token")

    @property
    def computed(self) -> Ints:
        """Prompt tokens that no prefix cache can spare, however large; all of them without one."""
        if self.reuse is None:
            return self.prompt
        return self.prompt - self.reuse.repeated

    def median_prompt(self, prefix_hit_share: float = 0.0) -> tuple[float, float]:
        """The median prompt, and how much of it need not be computed at best [tokens]."""
        prompt, computed = _medians(self)
        if self.reuse is None:
            return prompt, prompt * prefix_hit_share
        return prompt, prompt - computed

    def mean_computed(self, prefix_hit_share: float = 0.0) -> float:
        """Mean prompt tokens that are computed at least."""
        if self.reuse is None:
            return self.mean_prompt * (1 - prefix_hit_share)
        return float(self.computed.mean())

    def with_cached(self, cached: Ints, shared_tokens: int) -> JointLengths:
        """These requests with what one replica's prefix cache knows of each of them."""
        return replace(self, reuse=None, cached=cached, shared_tokens=shared_tokens)

    @cached_property
    def mean_prompt(self) -> float:
        return float(self.prompt.mean())

    @cached_property
    def mean_output(self) -> float:
        return float(self.output.mean())

    @property
    def mean_written(self) -> float:
        """Mean tokens written [tokens]; 0 where prompts are pooled."""
        return self.mean_output if self.generates else 0.0

    @cached_property
    def mean_context_in_flight(self) -> float:
        """Mean tokens in the cache of a decoding request, over time [tokens].

        A request of output o holds p, p + 1, ..., p + o - 2 tokens in its o - 1 decode steps, so the
        mean is ``(E[p (o - 1)] + E[(o - 1)(o - 2)] / 2) / E[o - 1]``; p for one-token outputs.
        """
        gaps = self.output.astype(float) - 1
        total = float(gaps.sum())
        if total == 0:
            return self.mean_prompt
        return float((gaps * self.prompt + gaps * (gaps - 1) / 2).sum() / total)

    @cached_property
    def max_total(self) -> int:
        """The longest prompt and output together [tokens]; the longest prompt where it is pooled."""
        return int((self.prompt + self.output if self.generates else self.prompt).max())

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Draw ``n`` pairs with replacement."""
        chosen = self.draw(n, rng)
        return self.prompt[chosen], self.output[chosen]

    def draw(self, n: int, rng: np.random.Generator) -> Ints:
        """Which pairs ``n`` requests have, with replacement."""
        if len(self.prompt) == 1:
            return np.zeros(n, dtype=np.int64)
        return rng.integers(0, len(self.prompt), n)

    def of_class(self, name: str) -> JointLengths:
        """The requests of one class alone; all of them for "" or where there are no classes."""
        return _of_class(self, name) if name and self.mix is not None else self


@lru_cache(maxsize=64)
def _of_class(lengths: JointLengths, name: str) -> JointLengths:
    mix = lengths.mix
    assert mix is not None
    mine = mix.number == mix.names.index(name)
    return replace(lengths, prompt=lengths.prompt[mine], output=lengths.output[mine], mix=None)


@lru_cache(maxsize=16)
def _medians(lengths: JointLengths) -> tuple[float, float]:
    """Of the prompt, and of what no prefix cache can spare of it [tokens]."""
    return _median(lengths.prompt), _median(lengths.computed)


def _median(tokens: Ints) -> float:
    """As numpy's, which loads its masked arrays for it."""
    ordered, middle = np.sort(tokens), len(tokens) // 2
    return float(ordered[middle] + ordered[-1 - middle]) / 2


def constant(prompt_tokens: int, output_tokens: int) -> JointLengths:
    """All requests equal."""
    return JointLengths(np.array([prompt_tokens]), np.array([output_tokens]))


def joint_lengths(
    prompt: Lengths, output: Lengths, correlation: float = 0.0, atoms: int = ATOMS
) -> JointLengths:
    """The joint distribution of two documents.

    When both name the same trace its pairs are kept. Otherwise the two are paired so that their
    normal scores have ``correlation`` (a Gaussian copula; 0 pairs them independently). Found once for equal
    documents that no file is behind.
    """
    few = [_few_numbers(lengths) for lengths in (prompt, output)]
    if few[0] is None or few[1] is None:
        return _joint(prompt, output, correlation, atoms)
    return _found_once(few[0], few[1], correlation, atoms)


_FewNumbers = tuple[float, float, float | None]  # mean, CV and maximum


def _few_numbers(lengths: Lengths) -> _FewNumbers | None:
    """A constant or a lognormal; None for quantiles and traces."""
    if lengths.mean is None or lengths.quantiles is not None or lengths.trace is not None:
        return None
    return lengths.mean, lengths.cv, lengths.max


@lru_cache(maxsize=MOST_KEPT)
def _found_once(
    prompt: _FewNumbers, output: _FewNumbers, correlation: float, atoms: int
) -> JointLengths:
    prompts, outputs = (Lengths(mean=m, cv=cv, max=most) for m, cv, most in (prompt, output))
    return _joint(prompts, outputs, correlation, atoms)


def _joint(prompt: Lengths, output: Lengths, correlation: float, atoms: int) -> JointLengths:
    traces = [request_trace(lengths) for lengths in (prompt, output)]
    if prompt.trace == output.trace and traces[0] is not None:
        return JointLengths(
            clipped(traces[0].prompt_tokens, prompt.max),
            clipped(traces[0].output_tokens, output.max),
        )
    if is_constant(prompt) and is_constant(output):
        atoms = 1
    u = (np.arange(atoms) + 0.5) / atoms
    v = (np.arange(atoms) * _GOLDEN + 0.5) % 1.0
    v = (np.argsort(np.argsort(v)) + 0.5) / atoms
    if correlation:
        z, w = normal_quantile(u), normal_quantile(v)
        mixed = correlation * z + math.sqrt(1 - correlation**2) * w
        v = (np.argsort(np.argsort(mixed)) + 0.5) / atoms
    columns = [None if t is None else getattr(t, c) for t, c in zip(traces, _COLUMNS, strict=True)]
    return JointLengths(tokens_at(prompt, u, columns[0]), tokens_at(output, v, columns[1]))


def lengths_of(service: Service) -> JointLengths:
    """The joint lengths of a service; of its turns, where requests are turns of conversations."""
    if service.conversations is not None:
        from planner.workload.turns import turn_lengths

        turns = turn_lengths(service)
        return JointLengths(turns.prompt, turns.output, reuse=turns.reuse)
    if service.classes:
        return _of_classes(service.classes, service.length_correlation)
    joint = joint_lengths(service.prompt_tokens, service.output_tokens, service.length_correlation)
    return joint if service.task == GENERATE else replace(joint, generates=False)


def _of_classes(classes: tuple[RequestClass, ...], correlation: float) -> JointLengths:
    own = [joint_lengths(c.prompt_tokens, c.output_tokens, correlation) for c in classes]
    prompt, output, number = mixed(own, [c.share for c in classes])
    levels = levels_of(classes)
    names = tuple(c.name for c in classes)
    return JointLengths(
        prompt, output, mix=ClassMix(names, number, tuple(levels[n] for n in names))
    )
