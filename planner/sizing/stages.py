"""How pipeline parallelism cuts a model into stages."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1024)
def stage_layers(layers: int, stages: int) -> tuple[range, ...]:
    """The layers of each stage, in order.

    Left-over layers go to the last stages but one, one each, since the last one also holds the head
    (vLLM ``get_pp_indices``); with two stages the first takes them.
    """
    sizes = [layers // stages] * stages
    for index in range(layers % stages):
        sizes[-(index + 2) % stages] += 1
    starts = [sum(sizes[:index]) for index in range(stages)]
    return tuple(range(start, start + size) for start, size in zip(starts, sizes, strict=True))
