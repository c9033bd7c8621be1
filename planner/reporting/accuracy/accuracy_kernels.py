"""The part of ``docs/reference/accuracy.md`` about deployments that measured kernels price."""

from __future__ import annotations

import numpy as np

from planner.accuracy.kernels.coverage import LEVEL, ONE_SIDED, Coverage
from planner.accuracy.kernels.regret import TARGETS_MS, DecisionRegret
from planner.accuracy.kernels.samples import measured
from planner.accuracy.kernels.shipped import KernelsDone, kernel_errors
from planner.reporting import rounding
from planner.reporting.document import Column, Paragraph, Quantity, Section, Table

_ERRORS = (
    Column("what", "What"),
    Column("mean", "Models left out, mean", Quantity.SHARE),
    Column("median", "median", Quantity.SHARE),
    Column("in_sample_mean", "In sample, mean", Quantity.SHARE),
    Column("in_sample_median", "median ", Quantity.SHARE),
)
_GROUPS = (
    Column("model", "Model"),
    Column("gpu", "GPU"),
    Column("engine", "Engine"),
    Column("weights", "Weights"),
    Column("points", "Points", Quantity.COUNT),
    Column("tpot_mean", "TPOT mean", Quantity.SHARE),
    Column("tpot_bias", "TPOT bias", Quantity.CHANGE),
    Column("ttft_median", "TTFT median", Quantity.SHARE),
    Column("ttft_bias", "TTFT bias", Quantity.CHANGE),
)
_REGRET = (
    Column("alternatives", "Chosen among"),
    Column("decisions", "Decisions", Quantity.COUNT),
    Column("mean", "Regret mean", Quantity.SHARE),
    Column("median", "median", Quantity.SHARE),
    Column("p90", "p90", Quantity.SHARE),
    Column("blind", "Blind choice, median", Quantity.SHARE),
    Column("missed", "Choice missed the target", Quantity.SHARE),
    Column("unserved", "No choice was offered", Quantity.SHARE),
)


def kernels_section(
    done: KernelsDone, covered: tuple[Coverage, ...], decided: tuple[DecisionRegret, ...]
) -> Section:
    """What holds where no run was fitted: errors, intervals and groups of left-out models."""
    shares = kernel_errors(done)
    return Section(
        "kernels",
        "Models nobody measured: kernels added up",
        (
            Paragraph(
                "A deployment that was not among the fitted runs, on a GPU and engine with kernel tables, is "
                "priced by its measured kernels and a small correction. Each model below was predicted by "
                "a correction that had seen nothing of it or of its relatives, on any GPU, engine or format. "
                f"TTFT lies within 30 % or 50 ms in {rounding.share(shares['ttft_left_out_models_near'])} "
                "of these runs."
            ),
            _errors(shares),
            _coverage(covered),
            _regret(decided),
            _groups(done),
        ),
    )


def _errors(shares: dict[str, float]) -> Table:
    names = {"tpot": "TPOT", "ttft": "TTFT", "throughput": "Throughput"}
    return Table(
        "kernel_errors",
        "Errors of measured kernels",
        _ERRORS,
        tuple(
            (
                title,
                shares[f"{name}_left_out_models_mean"],
                shares[f"{name}_left_out_models_median"],
                shares[f"{name}_in_sample_mean"],
                shares[f"{name}_in_sample_median"],
            )
            for name, title in names.items()
        ),
    )


def _coverage(covered: tuple[Coverage, ...]) -> Table:
    return Table(
        "kernel_coverage",
        "Coverage of left-out models",
        (
            Column("what", "What"),
            Column("groups", "Groups", Quantity.COUNT),
            Column("inside", f"Inside {rounding.share(LEVEL)}", Quantity.SHARE),
            *(
                Column(
                    f"below_{level}", f"Below the {rounding.share(level)} margin", Quantity.SHARE
                )
                for level in ONE_SIDED
            ),
        ),
        tuple((c.kind.upper(), c.groups, c.inside, *c.below) for c in covered),
        note="every group of runs has equal weight; a family's quantiles come from the other families",
    )


def _regret(decided: tuple[DecisionRegret, ...]) -> Table:
    targets = ", ".join(f"{target:g}" for target in TARGETS_MS)
    return Table(
        "kernel_regret",
        "Decision regret on left-out models",
        _REGRET,
        tuple(
            (r.name, r.decisions, r.mean, r.median, r.p90, r.at_random, r.missed, r.unserved)
            for r in decided
        ),
        note="measured cost per token of the configuration (GPU, engine, weights, parallel degrees) with the "
        f"lowest predicted cost over the best measured one, at TPOT targets of {targets} ms; prices are the "
        "median over providers of their lowest on-demand price; the margin is the one that 80 % of left-out "
        "runs keep",
    )


def _groups(done: KernelsDone) -> Table:
    members: dict[tuple[str, str, str, str], list[int]] = {}
    for i, sample in enumerate(done.samples):
        members.setdefault(sample.point.group, []).append(i)
    tpot, ttft = measured(done.samples)
    rows = []
    for group, indices in sorted(members.items()):
        first = done.left_out.tpot_s[indices] / tpot[indices]
        late = done.left_out.ttft_s[indices] / ttft[indices]
        late = late[~np.isnan(late)]
        rows.append(
            (
                *group,
                len(indices),
                float(np.abs(first - 1).mean()),
                float(np.exp(np.log(first).mean()) - 1),
                float(np.median(np.abs(late - 1))) if len(late) else None,
                float(np.exp(np.log(late).mean()) - 1) if len(late) else None,
            )
        )
    return Table("kernel_groups", "Left-out models by group", _GROUPS, tuple(rows))
