"""The requests of a simulation: when they arrive and how long they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError, nearest
from planner.scenario.schema import Arrivals
from planner.serving.simulation.dialogue import Dialogue
from planner.workload.class_mix import ClassMix
from planner.workload.lengths import JointLengths
from planner.workload.recorded_reuse import CHAIN_BLOCK_TOKENS, answered_chains
from planner.workload.trace import Trace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """Requests in order of arrival: times from 0 on [s], lengths [tokens], prompt block ids or None.

    ``dialogue``: how they follow each other where they are turns of conversations; only the first of each
    then comes at its own time, and the order is the expected one. ``recorded``: they are a recording of
    conversations, with the block ids of their histories. ``answered``: ids go on through the answer, whose
    blocks stay in the cache as well. ``calls``: of each, the first request of the call
    that brought it, None where each comes alone; those of a call follow each other, at one time.
    ``classes``: the number of each one's request class; ``levels``: where its priority ranks, 0 is served
    first; None where all wait alike.
    """

    arrival_s: Floats
    prompt_tokens: Ints
    output_tokens: Ints
    prefix: tuple[tuple[int, ...], ...] | None = None
    block_tokens: int = 512
    dialogue: Dialogue | None = None
    recorded: bool = False
    calls: Ints | None = None
    answered: bool = False
    classes: Ints | None = None
    levels: Ints | None = None

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def rate_qps(self) -> float:
        """Mean rate from the start to the last arrival [requests/s]."""
        return len(self) / max(float(self.arrival_s[-1]), 1e-9)

    @property
    def lengths(self) -> JointLengths:
        """The requests' own lengths as a distribution."""
        return JointLengths(self.prompt_tokens, self.output_tokens)


def interarrival_times(
    arrivals: Arrivals, rate_qps: float, count: int, rng: np.random.Generator
) -> Floats:
    """``count`` gaps between arrivals [s] with mean 1 / rate and the process's CV.

    gamma: shape 1 / CV^2. weibull: the shape k with Gamma(1 + 2/k) / Gamma(1 + 1/k)^2 = 1 + CV^2.
    """
    mean = 1 / rate_qps
    process, cv = arrivals.process, arrivals.cv
    if process == "constant" or (cv == 0 and process != "poisson"):
        return np.full(count, mean)
    if process == "poisson":
        return rng.exponential(mean, count)
    if process == "gamma":
        shape = 1 / cv**2
        return rng.gamma(shape, mean / shape, count)
    shape = weibull_shape(cv)
    return np.asarray(rng.weibull(shape, count) * mean / math.gamma(1 + 1 / shape))


def weibull_shape(cv: float) -> float:
    """The Weibull shape with that coefficient of variation, by bisection."""
    low, high = 0.08, 100.0
    for _ in range(80):
        middle = math.sqrt(low * high)
        squared = math.gamma(1 + 2 / middle) / math.gamma(1 + 1 / middle) ** 2 - 1
        if squared > cv * cv:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def arrival_cv(arrivals: Arrivals) -> float:
    """The CV of a process: 1 for poisson, 0 for constant, as stated otherwise."""
    return {"poisson": 1.0, "constant": 0.0}.get(arrivals.process, arrivals.cv)


def open_loop(
    lengths: JointLengths, arrivals: Arrivals, rate_qps: float, seconds: float, seed: int
) -> Requests:
    """Requests of a stationary process over ``seconds``.

    Arrivals and lengths come from separate streams of the seed, so that the same seed gives the same
    lengths, and proportional gaps, at every rate (common random numbers).
    """
    if rate_qps <= 0 or seconds <= 0:
        raise InputError(
            "a simulation needs a positive rate and duration", found=(rate_qps, seconds)
        )
    gaps_rng, lengths_rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2)
    )
    expected = rate_qps * seconds
    count = int(expected + 6 * math.sqrt(expected) * max(1.0, arrival_cv(arrivals)) + 16)
    times = np.cumsum(interarrival_times(arrivals, rate_qps, count, gaps_rng))
    chosen = lengths.draw(count, lengths_rng)
    return drawn(lengths, chosen[: int(np.searchsorted(times, seconds))], times)


def drawn(lengths: JointLengths, chosen: Ints, times: Floats) -> Requests:
    """The ``chosen`` pairs as requests that arrive at ``times`` [s], with their classes."""
    found = Requests(times[: len(chosen)], lengths.prompt[chosen], lengths.output[chosen])
    mix = lengths.mix
    if mix is None:
        return found
    number = mix.number[chosen]
    levels = np.array(mix.levels, dtype=np.int64)[number] if mix.by_priority else None
    return replace(found, classes=number, levels=levels)


def open_loop_calls(
    lengths: JointLengths,
    arrivals: Arrivals,
    each: int,
    rate_qps: float,
    seconds: float,
    seed: int,
) -> Requests:
    """``rate_qps`` [requests/s] in calls of ``each``, which arrive as ``arrivals`` says."""
    found = open_loop(lengths, arrivals, rate_qps / each, seconds, seed)
    count = each * len(found)
    prompt, output = lengths.sample(count, np.random.default_rng([seed, each]))
    firsts = np.repeat(np.arange(0, count, each), each)
    return Requests(np.repeat(found.arrival_s, each), prompt, output, calls=firsts)


def from_trace(
    trace: Trace,
    rate_scale: float = 1.0,
    seconds: float | None = None,
    mix: ClassMix | None = None,
) -> Requests:
    """A trace's own requests, arriving ``rate_scale`` times as fast, cut at ``seconds``.

    mix: the classes that its requests are of; InputError where the trace does not say so of each.
    """
    if trace.arrival_s is None:
        raise InputError(
            "the trace has lengths but no arrival times",
            where=trace.name,
            action="use it in prompt_tokens and output_tokens, with a rate",
        )
    if rate_scale <= 0:
        raise InputError("the rate scale must be positive", found=rate_scale)
    times = trace.arrival_s / rate_scale
    kept = len(times) if seconds is None else int(np.searchsorted(times, seconds, side="right"))
    prompts, block = trace.prefix, trace.block_tokens
    answered = trace.conversation is not None and prompts is None
    if answered:
        prompts, block = answered_chains(trace), CHAIN_BLOCK_TOKENS
    found = Requests(
        times[:kept],
        trace.prompt_tokens[:kept],
        trace.output_tokens[:kept],
        None if prompts is None else prompts[:kept],
        block,
        recorded=prompts is not None,
        answered=answered,
    )
    if mix is None:
        return found
    number = _recorded_classes(trace, mix.names, kept)
    levels = np.array(mix.levels, dtype=np.int64)[number] if mix.by_priority else None
    return replace(found, classes=number, levels=levels)


def _recorded_classes(trace: Trace, names: tuple[str, ...], kept: int) -> Ints:
    """The number of the class of each of a trace's first ``kept`` requests."""
    allowed = ", ".join(names)
    if trace.request_class is None:
        raise InputError(
            "the trace does not say which class its requests are of",
            where=trace.name,
            allowed=f"a column request_class with {allowed}",
            action="add the column, or leave classes out of a copy of the scenario",
        )
    stated = trace.request_class[:kept]
    for row, name in enumerate(stated, start=1):
        if name not in names:
            raise InputError(
                "a request is of no class of the service" if name else "a request is of no class",
                where=f"{trace.name}, request {row}",
                found=name or None,
                allowed=allowed,
                action=nearest(name, names),
            )
    absent = [name for name in names if name not in stated]
    if absent:
        raise InputError(
            f"the trace has no request of class {absent[0]!r}",
            where=trace.name,
            found=", ".join(sorted(set(stated))),
            action="leave the class out of a copy of the scenario",
        )
    return np.array([names.index(name) for name in stated], dtype=np.int64)
