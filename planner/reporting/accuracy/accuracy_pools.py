"""The part of ``docs/reference/accuracy.md`` about prefill and decode on pools of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.accuracy.pools.errors import (
    FEW_IN_FLIGHT,
    MEASURES,
    PoolRun,
    by_engine_and_gpu,
    median_off,
)
from planner.reporting.document import Column, Paragraph, Quantity, Section, Table

AIM_OF_P99 = 0.25
AIM_OF_MEDIANS = 0.15


def pools_section(runs: Sequence[PoolRun], left_out: Mapping[str, float]) -> Section:
    """Errors of disaggregated runs, left out first, then by engine and GPU.

    left_out: median error of a measure where its layout was not fitted, by the row's title.
    """
    few = [run for run in runs if run.point.concurrency <= FEW_IN_FLIGHT]
    rows = []
    for name, measure in MEASURES:
        count, off = median_off(runs, measure)
        aim = AIM_OF_P99 if name.endswith("p99") else AIM_OF_MEDIANS
        rows.append((name, count, left_out.get(name), off, aim))
        if name == "TTFT p50":
            count, off = median_off(few, measure)
            title = f"{name}, up to {FEW_IN_FLIGHT} in flight"
            rows.append((title, count, left_out.get(title), off, aim))
    return Section(
        "pools",
        "Prefill and decode on pools of their own",
        (
            Paragraph(
                "DeepSeek-R1 on two pools, simulated as public recipes launch them. Prompts run at the "
                "pace that prefill_pace.csv gives their layout, in plans of two pools as well; left out: "
                "the pace fitted without the layout (pools, lengths, drafts, in flight), six folds, on 1 "
                "December. Where decode or prefill is full, TTFT is what is left of the requests in flight: "
                "one percent of a pool's rate is ten of it. A fifth of the runs wait longer than a queue "
                "explains, with prefill 10 to 75 % busy and slots free, most of them on SGLang; a layout "
                "run again on another day differs by more than 15 % in a quarter of the runs. Other models "
                "with experts were not measured, their pace is modelled; layouts wider than eight GPUs keep "
                "that of their kernels."
            ),
            Table(
                "pool_errors",
                "Errors of disaggregated runs",
                (
                    Column("measure", "Measure"),
                    Column("runs", "Runs", Quantity.COUNT),
                    Column("left_out", "Left out", Quantity.SHARE),
                    Column("in_sample", "In sample", Quantity.SHARE),
                    Column("aim", "Aim", Quantity.SHARE),
                ),
                tuple(rows),
                note='absolute errors, medians over runs; "-": not left out apart',
            ),
            _groups(runs),
        ),
    )


def _groups(runs: Sequence[PoolRun]) -> Table:
    chosen = [(n, m) for n, m in MEASURES if n in ("TTFT p50", "TTFT p99", "TPOT p50")]
    chosen.append(MEASURES[-1])
    return Table(
        "pool_groups",
        "Disaggregated runs by engine and GPU",
        (
            Column("engine", "Engine"),
            Column("gpu", "GPU"),
            Column("runs", "Runs", Quantity.COUNT),
            *(Column(f"m{i}", name, Quantity.SHARE) for i, (name, _) in enumerate(chosen)),
        ),
        tuple(
            (engine, gpu, len(members), *(median_off(members, measure)[1] for _, measure in chosen))
            for (engine, gpu), members in by_engine_and_gpu(runs).items()
        ),
    )
