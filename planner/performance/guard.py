"""Floors no prediction may beat: a breach is a bug and raises.

- A prompt takes at least its flops at peak: ``sum over formats of 2 * values used * tokens / peak``
  over all GPUs, without the embedding, and with the head for the sampled token alone; and at least the
  arithmetic of attention between its pairs of tokens, in layers without a window, at the fastest rate
  any attention kernel could have: that of 8-bit values, or of the weights' format where that is faster.
- A decode step takes at least the bytes it must read over peak bandwidth: the weights one token
  passes through and the KV it attends to, spread evenly over all GPUs.
- Tokens per second stay below both.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.deployment import Deployment
from planner.errors import PhysicsBreach
from planner.performance.loads import loads_of
from planner.performance.roofline import Loads

_SLACK = 1.0 - 1e-9
NARROWEST = 2.0  # times the 16-bit peak: attention with 8-bit values


@dataclass(frozen=True, slots=True)
class Floors:
    """The fastest a replica could be, every part at peak and perfectly overlapped.

    prefill_s_per_token: one new prompt token's arithmetic, attention left out [s]; pair_s: attention of
    one new token to one earlier token [s]; head_s: one sampled token's [s]; step_s: weights read by a step
    of one sequence [s];
    context_s_per_token: KV read per cached token of full-attention layers [s];
    tokens_per_step: tokens one decode step may yield per sequence (speculative decoding).
    """

    prefill_s_per_token: float
    pair_s: float
    head_s: float
    step_s: float
    context_s_per_token: float
    tokens_per_step: float

    def ttft_s(self, prompt_tokens: float, cached_tokens: float = 0.0) -> float:
        """Least time [s] from arrival to the first token of a prompt."""
        new = max(prompt_tokens - cached_tokens, 1.0)
        arithmetic = new * self.prefill_s_per_token + self._attention_s(new, cached_tokens)
        return max(arithmetic + self.head_s, self.step_s)

    def _attention_s(self, new_tokens: float, cached_tokens: float = 0.0) -> float:
        """Attention of new tokens to each other and to cached ones: new * cached + new^2 / 2 pairs [s]."""
        return new_tokens * (cached_tokens + new_tokens / 2) * self.pair_s

    def tpot_s(self, context_tokens: float) -> float:
        """Least time [s] per output token of a sequence with that mean context."""
        step = self.step_s + context_tokens * self.context_s_per_token
        return step / self.tokens_per_step

    def requests_per_s(self, prompt_tokens: float, output_tokens: float) -> float:
        """Highest rate [requests/s]: every token's arithmetic at peak, nothing else.

        prompt_tokens: new ones, on average; the mean of the square of a length is no less than the
        square of its mean, so attention at the mean is a floor.
        """
        arithmetic = (prompt_tokens + max(output_tokens - 1, 0.0)) * self.prefill_s_per_token
        return 1.0 / (arithmetic + self._attention_s(prompt_tokens) + output_tokens * self.head_s)


def floors(deployment: Deployment) -> Floors:
    """Return the floors of a deployment's replica."""
    return floors_of(loads_of(deployment), deployment.settings.tokens_per_step)


def floors_of(w: Loads, tokens_per_step: float = 1.0) -> Floors:
    """Return the floors behind per-GPU loads.

    Work is taken as spread over every GPU of the replica: per-GPU time of one token, times the stages
    it passes (pipeline) and divided by the ranks that work on other sequences meanwhile (attention DP).
    tokens_per_step: expected tokens of one decode step and sequence under speculation.
    """
    seconds = [
        float(gemm.flops_per_token / gemm.peak_flops_s) for gemm in (w.quantised, w.plain, w.expert)
    ]
    ranks = float(w.data_parallel)
    widest = w.attention_peak_flops_s
    attention_peak = max(NARROWEST * widest, w.quantised.peak_flops_s, w.expert.peak_flops_s)
    hit = float(w.experts_per_token / w.experts)
    read = float(w.quantised.weight_bytes + w.plain.weight_bytes + w.head.weight_bytes)
    stages = float(w.pipeline_parallel)
    return Floors(
        prefill_s_per_token=(seconds[0] + seconds[1]) / ranks + seconds[2],
        pair_s=float(w.pair_flops / attention_peak) / ranks,
        head_s=float(w.head.flops_per_token / w.head.peak_flops_s) / ranks,
        step_s=stages * (read + float(w.expert.weight_bytes) * hit) / float(w.bandwidth_bytes_s),
        context_s_per_token=stages * float(w.context_bytes_per_token) / float(w.bandwidth_bytes_s),
        tokens_per_step=tokens_per_step,
    )


def check(predicted: float, floor: float, what: str, *, where: str, at_most: bool = False) -> float:
    """Return ``predicted``, or raise PhysicsBreach when it beats ``floor``.

    ``at_most``: the floor is a ceiling (throughput, memory). Not a number is a breach as well.
    """
    holds = predicted <= floor / _SLACK if at_most else predicted >= floor * _SLACK
    if not holds:
        raise PhysicsBreach(
            f"{what} beats its physical {'ceiling' if at_most else 'floor'}",
            where=where,
            found=predicted,
            allowed=f"at {'most' if at_most else 'least'} {floor:.6g}",
            action="this is a bug in the planner: please report the scenario",
        )
    return predicted
