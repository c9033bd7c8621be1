"""Measured runs of public benchmarks into the project's own tables of points.

    python -m benchmarks.measured_tables FOLDER

FOLDER holds the tables as they were gathered (``measured_inferencex.csv`` and the like); written are
``catalogs/calibration/*_points.csv`` in the columns of ``planner validate``, each row with its source
and, where recorded, the day it was measured.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.drafted_runs import mark_drafted

TABLES = Path(__file__).parents[1] / "catalogs" / "calibration"
INFERENCEX = "InferenceX (Apache-2.0)"
SERVING = "public closed-loop serving runs, InferenceX style (Apache-2.0)"
SUPERSEDED = 0.25
OLDER = "no longer measured since 2026-03: older images"
DOUBTED = "0.05"
EARLY = ("zai-org/GLM-5", "none", "aggregated")  # model, drafts, pools: runs on its first image
EARLY_NOTE = "an early image: later runs (two pools, drafts, GLM-5.1) take half the time of a step"
NAMED_BY = {
    "zai-org/GLM-5.1": "zai-org/GLM-5.1-FP8"
}  # a checkpoint of the catalog with the same layers
ENGINES = {"trtllm": "tensorrt-llm"}
_POOLS = tuple(
    f"{side}_{name}"
    for side in ("prefill", "decode")
    for name in ("workers", "tensor_parallel", "expert_parallel", "attention_dp", "gpus")
)
_WHAT = ("model", "gpu", "engine", "engine_version", "weights", "speculative")
_LOAD = ("gpus", "prompt_tokens", "output_tokens", "concurrency", "length_spread")
_RENAMED = {
    "ttft_median_ms": "ttft_p50_ms",
    "ttft_mean_ms": "ttft_ms",
    "tpot_median_ms": "tpot_p50_ms",
    "tpot_mean_ms": "tpot_ms",
    "e2e_median_s": "e2e_p50_s",
}
_PERCENTILES = (
    "ttft_ms",
    "ttft_p50_ms",
    "ttft_p90_ms",
    "ttft_p99_ms",
    "tpot_ms",
    "tpot_p50_ms",
    "tpot_p90_ms",
    "tpot_p99_ms",
    "itl_p99_ms",
    "e2e_p50_s",
    "e2e_p99_s",
    "tokens_per_s_per_gpu",
    "output_tokens_per_s_per_gpu",
)
Row = dict[str, str]


def main(folder: Path) -> None:
    """Write every table from the files in ``folder``."""
    _write(
        "percentile_points.csv",
        (*_WHAT, *_POOLS, *_LOAD, *_PERCENTILES, "measured_on", "weight", "source", "note"),
        _superseded(_sorted(_percentile_rows(_read(folder / "measured_inferencex.csv")))),
    )
    _write(
        "median_points.csv",
        (
            *_WHAT,
            *_POOLS,
            *_LOAD,
            "tpot_p50_ms",
            "tokens_per_s_per_gpu",
            "joules_per_output_token",
            "weight",
            "source",
            "note",
        ),
        _sorted(_median_rows(_read(folder / "measured_inferencex_more.csv"))),
    )
    _write(
        "offline_points.csv",
        (
            "model",
            "gpu",
            "engine",
            "engine_version",
            "weights",
            "kv_cache",
            "tensor_parallel",
            "prompt_tokens",
            "output_tokens",
            "load",
            "requests",
            "max_num_seqs",
            "makespan_s",
            "output_tokens_per_s",
            "measured_on",
            "source",
        ),
        _offline_rows(_read(folder / "measured_rocm_vllm.csv")),
    )
    _add_serving(folder / "measured_serving_more.csv")
    _write(
        "acceptance.csv",
        (
            "model",
            "method",
            "draft_tokens",
            "tokens_per_step",
            "workload",
            "measured_with",
            "source",
            "as_of",
        ),
        _acceptance_rows(_read(folder / "engines" / "acceptance.csv")),
    )


def _read(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _percentile_rows(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        version, note = _version(row["engine_version"])
        renamed = {_RENAMED.get(name, name): cell for name, cell in row.items()}
        yield renamed | {
            "engine": ENGINES.get(row["engine"], row["engine"]),
            "engine_version": version,
            "length_spread": "0.8",
            "source": INFERENCEX,
            "note": note,
        }


def _median_rows(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        renamed = {_RENAMED.get(name, name): cell for name, cell in row.items()}
        weight, note = ("0.25", OLDER) if row["output_tokens"] == "8192" else ("0.5", "")
        if (row["model"], row["speculative"], row["layout"]) == EARLY:
            weight, note = DOUBTED, EARLY_NOTE
        yield renamed | {
            "model": NAMED_BY.get(row["model"], row["model"]),
            "engine": ENGINES.get(row["engine"], row["engine"]),
            "length_spread": "0.8",
            "source": INFERENCEX + ", medians over the days of a configuration",
            "weight": weight,
            "note": note,
        }


def _offline_rows(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        latency = row["kind"] == "latency"
        yield row | {
            "engine_version": re.sub(r"rc\d*$", "", row["engine_version"]),
            "load": "offline",
            "requests": row["batch"],
            "makespan_s": row["e2e_s"] if latency else "",
        }


READ_ON = "2026-11-29"  # when the published lengths were gathered


def _acceptance_rows(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows that state one number for one draft length, as tokens of a verification step.

    An acceptance rate ``a`` of every drafted token yields ``1 + a + ... + a**k`` of them.
    """
    for row in rows:
        try:
            value, drafted = float(row["acceptance"]), int(row["draft_tokens"])
        except ValueError:
            continue
        if "rate" in row["acceptance_unit"]:
            value = sum(value**i for i in range(drafted + 1))
        if 1.0 <= value <= drafted + 1.0:
            yield {
                "model": row["model"],
                "method": _method(row["method"]),
                "draft_tokens": str(drafted),
                "tokens_per_step": f"{value:.3g}",
                "workload": row["workload"],
                "measured_with": row["engine_or_hardware"],
                "source": row["source"],
                "as_of": READ_ON,
            }


def _method(text: str) -> str:
    """The kind of draft: ``eagle3 head lmsys/... `` is ``eagle3``."""
    return re.split(r"[ ,(]", text, maxsplit=1)[0].lower()


def _add_serving(path: Path) -> None:
    """Append what ``serving_points.csv`` does not have yet."""
    target = TABLES / "serving_points.csv"
    with target.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    if "speculative" not in columns:
        columns.insert(columns.index("weights") + 1, "speculative")
    told = ("repeats", "weight", "source", "note", "speculative", "ttft_ms", "tpot_ms")
    names = [name for name in columns if name not in told]
    known = {tuple(row[name] for name in names) for row in rows}
    for row in _read(path):
        if tuple(row.get(name, "") for name in names) not in known:
            rows.append(row | {"repeats": "1", "weight": "1", "source": SERVING, "note": ""})
    for row in rows:
        row.setdefault("speculative", "")
    mark_drafted(rows, list(_read(TABLES / "percentile_points.csv")), ENGINES)
    rows.sort(key=lambda row: (row["model"], row["gpu"], row["engine"]))
    _write("serving_points.csv", columns, rows)


def _version(text: str) -> tuple[str, str]:
    """An engine's version, and the image it came in where that says more or something else."""
    if text.startswith("dynamo-"):
        return "", f"image {text}"
    atom = re.search(r"atom(\d+\.\d+\.\d+)", text)
    if atom is not None:
        return atom[1], f"image {text}"
    return (text, "") if re.match(r"\d", text) else ("", f"image {text}" if text else "")


def _superseded(rows: list[Row]) -> list[Row]:
    """Weigh down runs that a later image of the same engine made much faster.

    Runs of one configuration improve by up to 2 x over the months; releases are not recorded well
    enough to tell images apart, and it is the newer ones that are launched.
    """
    by_run: dict[tuple[str, ...], list[Row]] = {}
    same = ("model", "gpu", "engine", "weights", "speculative", *_POOLS, *_LOAD)
    for row in rows:
        by_run.setdefault(tuple(row.get(name, "") for name in same), []).append(row)
    for runs in by_run.values():
        for row in runs:
            later = [float(r["tpot_p50_ms"]) for r in runs if r["measured_on"] > row["measured_on"]]
            slower = float(row["tpot_p50_ms"]) / min(later) - 1 if later else 0.0
            if slower > SUPERSEDED:
                row["weight"] = "0.25"
                row["note"] = (
                    f"{row['note']}; ".lstrip("; ")
                    + f"{100 * slower:.0f} % slower than a later run"
                )
    return rows


def _sorted(rows: Iterable[Row]) -> list[Row]:
    """By deployment, then date and load, so that like rows are together."""
    keys = (
        "model",
        "gpu",
        "engine",
        "weights",
        "speculative",
        *_POOLS,
        "prompt_tokens",
        "measured_on",
    )
    return sorted(rows, key=lambda r: (*(r.get(k, "") for k in keys), int(r["concurrency"])))


def _write(name: str, columns: Iterable[str], rows: Iterable[Row]) -> None:
    header = list(columns)
    with (TABLES / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, header, extrasaction="ignore", lineterminator="\n", restval=""
        )
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
