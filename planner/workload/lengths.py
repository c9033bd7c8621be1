"""Prompt and output lengths as one joint distribution: what a request costs before anything runs.

A distribution is held as equally likely pairs (``ATOMS`` of them unless a trace brings its own), so
that every moment, percentile and sample follows from the same numbers. Independent lengths are
paired by a fixed low-discrepancy permutation, which keeps their correlation at zero without chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.scenario.lengths import Lengths
from planner.scenario.schema import Service
from planner.scenario.task import GENERATE
from planner.workload.length_tables import is_quantile_table, read_quantiles
from planner.workload.trace import Trace, read_trace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ATOMS = 1024
_COLUMNS = ("prompt_tokens", "output_tokens")
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class JointLengths:
    """Equally likely (prompt, output) pairs [tokens], at least 1 each.

    Moments are over requests: ``mean_output`` is E[o]; ``output_second_moment`` E[o^2]; their
    quotient is the mean output length of a request seen in flight (length-biased). ``generates``:
    False where prompts are pooled: nothing is written, and ``output`` is the one pass over the prompt.
    """

    prompt: Ints
    output: Ints
    generates: bool = True

    def __post_init__(self) -> None:
        if len(self.prompt) == 0 or len(self.prompt) != len(self.output):
            raise InputError("lengths need as many prompts as outputs, and at least one")
        if self.prompt.min() < 1 or self.output.min() < 1:
            raise InputError("a request has at least one prompt and one output token")

    @property
    def mean_prompt(self) -> float:
        return float(self.prompt.mean())

    @property
    def mean_output(self) -> float:
        return float(self.output.mean())

    @property
    def mean_written(self) -> float:
        """Mean tokens written [tokens]; 0 where prompts are pooled."""
        return self.mean_output if self.generates else 0.0

    @property
    def output_second_moment(self) -> float:
        return float((self.output.astype(float) ** 2).mean())

    @property
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

    @property
    def max_total(self) -> int:
        """The longest prompt and output together [tokens]; the longest prompt where it is pooled."""
        return int((self.prompt + self.output if self.generates else self.prompt).max())

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Draw ``n`` pairs with replacement."""
        if len(self.prompt) == 1:
            return np.repeat(self.prompt, n), np.repeat(self.output, n)
        chosen = rng.integers(0, len(self.prompt), n)
        return self.prompt[chosen], self.output[chosen]


def constant(prompt_tokens: int, output_tokens: int) -> JointLengths:
    """Every request alike."""
    return JointLengths(np.array([prompt_tokens]), np.array([output_tokens]))


def joint_lengths(
    prompt: Lengths, output: Lengths, correlation: float = 0.0, atoms: int = ATOMS
) -> JointLengths:
    """The joint distribution of two documents.

    When both name the same trace its pairs are kept. Otherwise the two are paired so that their
    normal scores have ``correlation`` (a Gaussian copula; 0 pairs them independently).
    """
    traces = [_request_trace(lengths) for lengths in (prompt, output)]
    if prompt.trace == output.trace and traces[0] is not None:
        return JointLengths(
            _clipped(traces[0].prompt_tokens, prompt.max),
            _clipped(traces[0].output_tokens, output.max),
        )
    if _is_constant(prompt) and _is_constant(output):
        atoms = 1
    u = (np.arange(atoms) + 0.5) / atoms
    v = (np.arange(atoms) * _GOLDEN + 0.5) % 1.0
    v = (np.argsort(np.argsort(v)) + 0.5) / atoms
    if correlation:
        z, w = normal_quantile(u), normal_quantile(v)
        mixed = correlation * z + math.sqrt(1 - correlation**2) * w
        v = (np.argsort(np.argsort(mixed)) + 0.5) / atoms
    columns = [None if t is None else getattr(t, c) for t, c in zip(traces, _COLUMNS, strict=True)]
    return JointLengths(_at(prompt, u, columns[0]), _at(output, v, columns[1]))


def lengths_of(service: Service) -> JointLengths:
    """The joint lengths of a service."""
    joint = joint_lengths(service.prompt_tokens, service.output_tokens, service.length_correlation)
    return joint if service.task == GENERATE else replace(joint, generates=False)


def normal_quantile(u: Floats) -> Floats:
    """Standard normal quantiles of probabilities in (0, 1); not to be written to."""
    return _normal_quantiles(np.asarray(u, dtype=float).tobytes())


@lru_cache(maxsize=64)
def _normal_quantiles(probabilities: bytes) -> Floats:
    inverse = NormalDist().inv_cdf
    found = np.array([inverse(p) for p in np.frombuffer(probabilities).tolist()])
    found.flags.writeable = False
    return found


def _is_constant(lengths: Lengths) -> bool:
    return lengths.mean is not None and lengths.cv == 0


def _request_trace(lengths: Lengths) -> Trace | None:
    if lengths.trace is None or is_quantile_table(lengths.trace):
        return None
    return read_trace(lengths.trace)


def _at(lengths: Lengths, u: Floats, column: Ints | None) -> Ints:
    """The lengths at probabilities ``u``; ``column``: those of a request trace."""
    if column is not None:
        return _clipped(np.quantile(column, u), lengths.max)
    points = _points(lengths)
    if points:
        values = np.interp(u, [q for q, _ in points], [t for _, t in points])
    elif lengths.cv == 0:
        assert lengths.mean is not None
        values = np.full(len(u), float(lengths.mean))
    else:
        assert lengths.mean is not None
        values = _lognormal(float(lengths.mean), lengths.cv, u)
    return _clipped(values, lengths.max)


def _points(lengths: Lengths) -> Sequence[tuple[float, float]]:
    if lengths.quantiles is not None:
        return sorted(lengths.quantiles.items())
    if lengths.trace is not None:
        return read_quantiles(lengths.trace)
    return ()


def _lognormal(mean: float, cv: float, u: Floats) -> Floats:
    """Lognormal quantiles with the mean restored after cutting the tails off at the atoms."""
    sigma = math.sqrt(math.log1p(cv * cv))
    values = np.exp(sigma * normal_quantile(u) - sigma * sigma / 2)
    return np.asarray(values * (mean / values.mean()))


def _clipped(values: Floats | Ints, longest: float | None) -> Ints:
    cut = np.asarray(values, dtype=float)
    if longest is not None:
        cut = np.minimum(cut, longest)
    return np.maximum(1, np.round(cut)).astype(np.int64)
