"""A person's own GPUs: two kinds in one line, and what they hold alone and together."""

from __future__ import annotations

import pytest

from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.sizing.fits import FitVerdict, question
from planner.sizing.owned_gpus import owned_that_fit, read_owned_gpus


@pytest.mark.parametrize(
    "text",
    ["2x rtx-3090, 1x rtx-4090", "2 x RTX 3090; RTX 4090", "rtx-3090 + rtx-3090 + rtx-4090"],
)
def test_gpus_are_read_from_one_line(catalog: Catalog, text: str) -> None:
    owned = read_owned_gpus(text, catalog)
    assert [(own.gpu.name, own.count) for own in owned] == [("rtx-3090", 2), ("rtx-4090", 1)]


@pytest.mark.parametrize("text", ["", "0x rtx-3090", "2x", "99x rtx-3090", "2x rtx-99999"])
def test_what_is_no_gpu_is_refused(catalog: Catalog, text: str) -> None:
    with pytest.raises(InputError):
        read_owned_gpus(text, catalog)


def test_unlike_gpus_together_count_as_the_smallest(catalog: Catalog) -> None:
    owned = read_owned_gpus("2x rtx-3090, 1x rtx-4090", catalog)
    model = catalog.model("Qwen/Qwen3-32B")
    fits = owned_that_fit(catalog, model, question(catalog), owned, precisions=("fp8",))
    verdicts = {(fit.gpu, fit.gpus): fit.verdict for fit in fits}
    assert verdicts["rtx-3090", 1] is FitVerdict.NOT
    assert verdicts["rtx-3090", 2] is not FitVerdict.NOT
    assert verdicts["rtx-4090", 1] is FitVerdict.NOT
    assert verdicts["all 3 as rtx-4090", 3] is FitVerdict.FITS
