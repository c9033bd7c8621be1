"""What public recipes launch the two pools of a disaggregated benchmark with.

``catalogs/calibration/pool_recipes.csv``: how many sequences a decode worker runs, what a prefill worker
takes into a step, drafted tokens, and how often a server sends. Benchmarks keep a little more in flight
than the decode workers run (1.05 to 1.2 times as much): the wait for a slot there is most of TTFT.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from planner.accuracy.point import MeasuredPoint
from planner.catalog.tables import TableRow, read_table

_ENDLESS = 1 << 40


class PoolRecipe(TableRow):
    """One recipe, for the runs whose every stated column it matches.

    prefill_pool, decode_pool: workers x GPUs of each (``5x4``); ``*_ranks``: "one" or "several"
    attention-DP ranks; measured_from: the first day of the recipe. Limits are options of the engine, for a
    worker or for each of its ranks as the engine takes them; an empty one leaves the engine's default.
    stream_interval: decode steps between two sends of a server. router: how requests are spread over the
    workers of each pool, round-robin where it is empty.
    """

    engine: str
    vendor: str = ""
    gpu: str = ""
    weights: str = ""
    speculative: str = ""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    prefill_pool: str = ""
    decode_pool: str = ""
    prefill_ranks: str = ""
    decode_ranks: str = ""
    decode_experts: str = ""
    lowest_concurrency: int = 0
    highest_concurrency: int = _ENDLESS
    measured_from: str = ""
    prefill_max_num_seqs: int | None = Field(default=None, gt=0)
    prefill_max_num_batched_tokens: int | None = Field(default=None, gt=0)
    decode_max_num_seqs: int | None = Field(default=None, gt=0)
    draft_tokens: int | None = Field(default=None, gt=0)
    stream_interval: int | None = Field(default=None, gt=0)
    router: Literal["", "random"] = ""
    source: str

    def covers(self, point: MeasuredPoint, facts: dict[str, str]) -> bool:
        """Whether this is the recipe of a run; ``facts`` as conditions know them."""
        prefill = point.prefill
        if prefill is None or not (
            self.lowest_concurrency <= point.concurrency <= self.highest_concurrency
        ):
            return False
        gpus = point.tensor_parallel * point.data_parallel
        found = {
            "engine": facts["engine"],
            "vendor": facts["vendor"],
            "gpu": facts["gpu"],
            "weights": facts["weights"],
            "speculative": point.speculative or "none",
            "prompt_tokens": point.prompt_tokens,
            "output_tokens": point.output_tokens,
            "prefill_pool": f"{prefill.workers}x{prefill.gpus // prefill.workers}",
            "decode_pool": f"{point.replicas}x{gpus}",
            "prefill_ranks": _several(prefill.data_parallel),
            "decode_ranks": _several(point.data_parallel),
            "decode_experts": _several(point.expert_parallel),
        }
        stated = {name: getattr(self, name) for name in found}
        matches = all(value in ("", None, found[name]) for name, value in stated.items())
        return matches and self.measured_from <= (point.measured_on or "9999")


@lru_cache(maxsize=4)
def read_pool_recipes(path: Path) -> tuple[PoolRecipe, ...]:
    """Return the rows of the table; raises CatalogError."""
    return read_table(path, PoolRecipe)


def pool_recipe(
    rows: tuple[PoolRecipe, ...], point: MeasuredPoint, facts: dict[str, str]
) -> PoolRecipe | None:
    """The first recipe that covers a run; None for runs of one pool and of other benchmarks."""
    if not facts["suite"]:
        return None
    return next((row for row in rows if row.covers(point, facts)), None)


def _several(degree: int) -> str:
    return "several" if degree > 1 else "one"
