"""Bounds of the closed form: where its expressions stop being evaluated further.

Each keeps a formula of the module that uses it away from a pole or a flat part. None is fitted to a
measurement: they are assumed, chosen so that the closed form stays smooth up to saturation, and
``tests/serving/test_closed_form_error.py`` holds the result against the simulator. Only the normal tail's
coefficients are published.
"""

from __future__ import annotations

TINY = 1e-12  # in place of 0 in a denominator

# Loads: 1 is the pole of 1 / (1 - load).
MOST_LOAD = (
    0.98  # of a resource inside a formula: waits grow fifty-fold by then and rise no further
)
MOST_RHO = 0.999  # of the exact M/G/1 terms, which stay finite longer
MOST_AGAIN = 0.95  # prompts that arrive while others are prefilled, per such prompt
MOST_SLOPE = (
    0.9  # derivative of the fixed point of prompts in a step: Newton's method divides by 1 - it
)
MOST_RATIO = 0.9999  # of the geometric tail of requests that wait for a slot

# When a rate lasts (``SteadyState.stable``).
LASTING_PREFILL = (
    0.97  # share of the time in prefills that share their steps: beyond it decode starves
)
LASTING_STATES = 0.5  # probability of the states in which prefill keeps up

# The spread of the number in flight.
LEAST_SPREAD = 0.2  # variance over mean: constant arrivals and short prompts never even out more
DRIFT = (-2.5, 1.5)  # log of the factor on (1) that restores its mean: beyond it (1) is one state
NEWTON_MOVE = 1.0  # the most one step of Newton's method moves the drift
FLAT_GAIN = 0.05  # of the growth of the batch: a rate that gains less with slots lacks throughput

# Tails of latencies.
LEAST_CHANCE = 1e-3  # of an event whose moments are divided by its probability
LEAST_SOME = 1e-9  # probability that a request meets any prefill
SKEW = (0.5, 6.0)  # skewness over CV of the prefills met; 2 is a gamma variable
LEAST_VARIANCE = 0.02  # of the square of the mean: prefills are never met evenly spaced
LEAST_SHAPE = 1e-3  # of a gamma variable, below which its cube root is not nearly normal
FARTHEST_Z = 8.0  # standard deviations: the tail is 1e-15 there
# P(N(0, 1) > z) = 1 / (1 + exp(A z + B z^3)), to 2e-4: Bowling, Khasawneh, Kaewkuekool and Cho (2009),
# A logistic approximation to the cumulative normal distribution.
NORMAL_TAIL = (1.5976, 0.07056)
