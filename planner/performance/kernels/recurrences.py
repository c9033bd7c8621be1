"""Seconds of a layer's recurrence: from measured kernels, or from its bytes where none were measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.catalog.model import Layer, RecurrentMixer
from planner.deployment import Deployment
from planner.performance.kernels import lookup
from planner.performance.kernels.components import (
    CONTEXTS,
    SEQUENCES,
)
from planner.performance.kernels.grids import Floats
from planner.performance.kernels.ladders import NS, on_log
from planner.performance.kernels.product_sums import UnknownKernel
from planner.performance.kernels.prompts import PROMPT_SEQUENCES, PROMPTS
from planner.performance.kernels.table import KernelTable, Operation

RECURRENT_SHARE, RECURRENT_LAUNCH_S, RECURRENT_PASSES = 0.7, 8e-6, 40.0
DELTA_HEAD, DELTA_WINDOW = 128, 3


@dataclass(frozen=True, slots=True, eq=False)
class Recurrence:
    """Seconds of one layer's recurrence and convolution on one GPU, without its projections.

    decode: over SEQUENCES and CONTEXTS; prompt: over PROMPT_SEQUENCES and PROMPTS. measured: whether its
    kernels were.
    """

    decode: Floats
    prompt: Floats
    measured: bool


def recurrence(
    deployment: Deployment, table: KernelTable, layer: Layer, mixer: RecurrentMixer
) -> Recurrence:
    """Return the recurrence of a layer. Raises UnknownKernel for a gated delta rule without a table."""
    if mixer.kind == "gated-delta":
        return _gated_delta(deployment, table, layer, mixer)
    found = _kimi_delta(deployment, table, mixer) if mixer.kind == "kimi-delta" else None
    return found or _modelled(deployment, mixer)


def _gated_delta(
    deployment: Deployment, table: KernelTable, layer: Layer, mixer: RecurrentMixer
) -> Recurrence:
    tp = deployment.tensor_parallel
    parts = next(
        (t.parts for t in layer.tensors if t.klass == "recurrent" and t.parts), mixer.heads
    )
    key = (max(1, parts // tp), max(1, mixer.heads // tp), deployment.model.hidden_size)
    decode = lookup.ladder(table, "decode_gdn", *key)
    prompt = lookup.ladder(table, "prompt_gdn", *key)
    if decode is None or prompt is None:
        raise UnknownKernel
    tokens = np.log(PROMPT_SEQUENCES[:, None] * PROMPTS[None, :])
    return Recurrence(
        decode=_whatever_context(NS * np.exp(decode[1])),
        prompt=NS * np.exp(np.interp(tokens, np.log(prompt[0]), prompt[1])),
        measured=True,
    )


def _kimi_delta(
    deployment: Deployment, table: KernelTable, mixer: RecurrentMixer
) -> Recurrence | None:
    """Kimi's delta attention, measured over heads of one GPU; None for other sizes of a head.

    Decoding runs a program per sequence and head: heads beyond the tabulated counts cost what the
    nearest count does at as many programs. A prompt is walked through head by head, so that fewer heads
    than tabulated take no less time.
    """
    values = mixer.heads * DELTA_HEAD
    if (mixer.state_values, mixer.conv_values) != (values * DELTA_HEAD, 3 * values * DELTA_WINDOW):
        return None
    decode, prompt = table.get("decode_kda"), table.get("prompt_kda")
    convolution = table.get("prompt_kda_convolution")
    if decode is None or prompt is None or convolution is None:
        return None
    heads = max(1, mixer.heads // deployment.tensor_parallel)
    known = prompt.rows[:, 0]
    tabled = float(np.clip(heads, known.min(), known.max()))
    curve = _at_width(decode, tabled, 1.0 + deployment.settings.draft_tokens)
    seconds = on_log(decode.axes[0], curve, np.maximum(SEQUENCES * heads / tabled, 1.0))
    walked = np.exp(_between(_heads(prompt), prompt.log_ns, tabled))
    walked += np.exp(_between(_heads(convolution), convolution.log_ns, tabled))
    return Recurrence(
        decode=_whatever_context(seconds),
        prompt=NS * walked * max(1.0, heads / tabled),
        measured=True,
    )


def _heads(operation: Operation) -> Floats:
    """Heads a GPU of each row of an operation that is keyed by them first."""
    return operation.rows[:, 0].astype(float)


def _at_width(decode: Operation, heads: float, width: float) -> Floats:
    """Latencies over sequences [ln ns] of steps with ``width`` tokens a sequence: drafts and one more."""
    widths = np.unique(decode.rows[:, 1])
    lines = []
    for each in widths:
        own = decode.rows[:, 1] == each
        lines.append(_between(_heads(decode)[own], decode.log_ns[own], heads))
    beyond = np.log(max(1.0, width / float(widths[-1])))
    return _between(widths.astype(float), np.array(lines), width) + float(beyond)


def _between(known: Floats, logs: Floats, at: float) -> Floats:
    """Rows of ``logs`` at a value between those of ``known``, linear in both logarithms."""
    order = np.argsort(known)
    x, rows = np.log(known[order]), logs[order]
    position = float(np.interp(np.log(at), x, np.arange(len(x))))
    low = min(int(position), len(x) - 1)
    share = position - low
    found: Floats = rows[low] * (1 - share) + rows[min(low + 1, len(x) - 1)] * share
    return found


def _modelled(deployment: Deployment, mixer: RecurrentMixer) -> Recurrence:
    """A recurrence nobody measured: its state read and written, or a scan over the prompt's tokens."""
    ranks = min(deployment.tensor_parallel, max(mixer.heads, 1))
    bandwidth = deployment.gpu.bandwidth_bytes_s
    state = mixer.state_values * mixer.state_bytes_per_value + 2.0 * mixer.conv_values
    moved = 2.0 * state / ranks / (RECURRENT_SHARE * bandwidth)
    each = 2.0 * deployment.model.hidden_size * RECURRENT_PASSES / ranks / bandwidth
    tokens = PROMPT_SEQUENCES[:, None] * PROMPTS[None, :]
    return Recurrence(
        decode=_whatever_context(SEQUENCES * moved + RECURRENT_LAUNCH_S),
        prompt=tokens * each + 3 * RECURRENT_LAUNCH_S,
        measured=False,
    )


def _whatever_context(seconds: Floats) -> Floats:
    """Seconds over SEQUENCES as a grid: a state is as large after any context."""
    return np.repeat(seconds[:, None], len(CONTEXTS), axis=1)
