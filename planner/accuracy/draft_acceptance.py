"""How many tokens a verification step yields: published acceptance lengths, by model and draft.

``catalogs/calibration/acceptance.csv`` holds what was published for a model, a method and a number
of drafted tokens. Prompts decide more than anything else: random tokens are hard to guess, code is easy.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from statistics import median

from pydantic import Field

from planner.catalog.tables import IsoDate, TableRow, read_table


class AcceptanceRow(TableRow):
    """One published length; ``tokens_per_step`` counts the token that the model adds itself."""

    model: str
    method: str
    draft_tokens: int = Field(gt=0)
    tokens_per_step: float = Field(ge=1)
    workload: str = ""
    measured_with: str = ""
    source: str
    as_of: IsoDate


@lru_cache(maxsize=4)
def read_acceptance(path: Path) -> tuple[AcceptanceRow, ...]:
    """Return the rows of the table; raises CatalogError."""
    return read_table(path, AcceptanceRow)


def published_tokens_per_step(
    rows: tuple[AcceptanceRow, ...], model: str, method: str, draft_tokens: int
) -> float | None:
    """The median published for this model, method and draft length; None where there is none."""
    name = _plain(model)
    found = [
        row.tokens_per_step
        for row in rows
        if (row.method, row.draft_tokens) == (method, draft_tokens)
        and _plain(row.model).startswith(name)
    ]
    return median(found) if found else None


def acceptance_of(tokens_per_step: float, draft_tokens: int) -> float:
    """The share per drafted token that yields so many tokens a step: the inverse of the geometric sum."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if sum(middle**i for i in range(draft_tokens + 1)) < tokens_per_step:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _plain(model: str) -> str:
    return model.rsplit("/", 1)[-1].lower()
