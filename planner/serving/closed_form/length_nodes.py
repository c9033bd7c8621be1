"""A length distribution as a few weighted points, for the closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.workload.class_mix import ClassMix
from planner.workload.lengths import JointLengths

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PROMPT_EDGES = np.array([0.0, 0.4, 0.75, 0.9, 0.97, 0.99, 0.997, 1.0])
_OUTPUT_EDGES = np.array([0.0, 0.1, 0.3, 0.42, 0.5, 0.58, 0.75, 0.9, 0.97, 0.99, 0.995, 1.0])
_ANSWER_EDGES = np.array([0.0, 0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.75, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class LengthNodes:
    """A few weighted prompts and answers that represent the distribution, its tail included [tokens].

    prompt, prompt_at_output: of each prompt the part that is computed; found, found_at_output: what the
    prefix cache holds of the same prompts. output: for times of whole responses, of which the long ones are
    late; answer: for times by token, of which the short ones are. prompt_second_moment,
    prompt_third_moment: E[p^k] / E[p]^k; rest_spread: squared CV of the rest of the prompt in service;
    context_spread: of the tokens that a request in flight holds; overlap: E[min(o, o')] / E[o] of two
    independent answers. classes: those that share the replicas; with them every node is of one class.
    """

    prompt: Floats
    prompt_weight: Floats
    output: Floats
    output_weight: Floats
    prompt_at_output: Floats
    found: Floats
    found_at_output: Floats
    answer: Floats
    answer_weight: Floats
    prompt_second_moment: float
    prompt_third_moment: float
    overlap: float
    rest_spread: float
    context_spread: float
    classes: ClassNodes | None = None

    def of_class(self, number: int) -> LengthNodes:
        """The same points with the weights that they have among the requests of one class."""
        classes = self.classes
        if classes is None:
            return self
        weights = {
            f"{which}_weight": np.where(of == number, getattr(self, f"{which}_weight"), 0.0)
            for which, of in classes.of.items()
        }
        return replace(self, **{name: w / w.sum() for name, w in weights.items()})


@dataclass(frozen=True, slots=True, eq=False)
class ClassNodes:
    """Classes of requests that share replicas.

    names, levels: as ``ClassMix``; of: the class of each ``prompt``, ``output`` and ``answer`` node;
    prefill_share, decode_share: of each class in the tokens that are prefilled, and in the decode steps.
    """

    names: tuple[str, ...]
    levels: tuple[int, ...]
    of: Mapping[str, Ints]
    prefill_share: Floats
    decode_share: Floats

    def number(self, name: str) -> int:
        """The number of a class."""
        return self.names.index(name)


@lru_cache(maxsize=256)
def length_nodes(lengths: JointLengths) -> LengthNodes:
    """Bin means between fixed probabilities."""
    p, o = lengths.prompt.astype(float), lengths.output.astype(float)
    held = np.zeros_like(p) if lengths.cached is None else lengths.cached.astype(float)
    new = p - held
    mix = lengths.mix
    prompt, prompt_weight, found, prompt_class = _bins_by_class(new, held, _PROMPT_EDGES, mix)
    output, output_weight, at, output_class = _bins_by_class(o, new, _OUTPUT_EDGES, mix)
    _, _, found_at, _ = _bins_by_class(o, held, _OUTPUT_EDGES, mix)
    spread = float((new**2).mean() / new.mean() ** 2)
    left = np.arange(len(o), 0, -1) * 2.0 - 1
    overlap = float((np.sort(o) * left).sum() / len(o) ** 2 / o.mean())
    gaps = np.maximum(o - 1, 1e-3)
    later = np.maximum(o - 2, 0.0)
    context = float((gaps * (p + later / 2)).sum() / gaps.sum())
    squared = float((gaps * (p**2 + p * later + later**2 / 3)).sum() / gaps.sum())
    third = float((new**3).mean() / new.mean() ** 3)
    answer, answer_weight, _, answer_class = _bins_by_class(o, p, _ANSWER_EDGES, mix)
    of = {"prompt": prompt_class, "output": output_class, "answer": answer_class}
    return LengthNodes(
        prompt=prompt,
        prompt_weight=prompt_weight,
        output=output,
        output_weight=output_weight,
        prompt_at_output=at,
        found=found,
        found_at_output=found_at,
        answer=answer,
        answer_weight=answer_weight,
        prompt_second_moment=spread,
        prompt_third_moment=third,
        overlap=overlap,
        rest_spread=third / 3 / (spread / 2) ** 2 - 1,
        context_spread=squared / context**2 - 1,
        classes=None
        if mix is None
        else ClassNodes(
            names=mix.names,
            levels=mix.levels,
            of=of,
            prefill_share=_shares(new, mix),
            decode_share=_shares(np.maximum(o - 1, 0.0), mix),
        ),
    )


def _shares(values: Floats, mix: ClassMix) -> Floats:
    """The part that each class has in the sum of ``values``."""
    parts = np.array([values[mask].sum() for mask in mix.masks()])
    return np.asarray(parts / max(float(parts.sum()), 1e-12))


def _bins_by_class(
    values: Floats, partner: Floats, edges: Floats, mix: ClassMix | None
) -> tuple[Floats, Floats, Floats, Ints]:
    """``_bins`` of each class after the other, with the class of every bin."""
    if mix is None:
        mean, weight, other = _bins(values, partner, edges)
        return mean, weight, other, np.zeros(len(mean), dtype=np.int64)
    found = [_bins(values[mask], partner[mask], edges) for mask in mix.masks()]
    parts = [mask.mean() for mask in mix.masks()]
    return (
        np.concatenate([mean for mean, _, _ in found]),
        np.concatenate([part * weight for part, (_, weight, _) in zip(parts, found, strict=True)]),
        np.concatenate([other for _, _, other in found]),
        np.repeat(np.arange(len(found)), [len(mean) for mean, _, _ in found]),
    )


def _bins(values: Floats, partner: Floats, edges: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, weight and mean partner of the values between the probabilities ``edges``."""
    if values.min() == values.max():
        return values[:1], np.ones(1), np.array([partner.mean()])
    order = np.argsort(values, kind="stable")
    cuts = np.round(edges * len(values)).astype(int)
    cuts = cuts[np.diff(cuts, prepend=-1) > 0]
    size = np.diff(cuts)
    mean = np.add.reduceat(values[order], cuts[:-1]) / size
    return mean, size / len(values), np.add.reduceat(partner[order], cuts[:-1]) / size
