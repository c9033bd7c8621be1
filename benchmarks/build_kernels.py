"""Reduce tables of measured kernel latencies to ``catalogs/kernels/``.

``python -m benchmarks.build_kernels FOLDER`` reads the parquet files of FOLDER (one per operation, a row
per GPU, engine, version, kernel and shape) and writes one ``.npz`` per GPU and engine:

- per shape the newest version's row, and of several kernels the fastest, on a common ladder of tokens,
  contexts or message sizes, interpolated in the logarithms; ends are continued (see ``_along``);
- latencies as ``round(STEPS * ln(ns))`` in 16 bits, differences along the ladder, deflated;
- products that every engine takes from the same libraries hold one table per GPU, the fastest engine's:
  tables taken without CUDA graphs include the host's launch;
- of attention modules also what chunks of prompts take more for the tokens before them (``_beyond_first``).
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.kernel_operations import (
    FUSED,
    OPERATIONS,
    Arrays,
    Bools,
    Floats,
    MeasuredColumns,
    TabledOperation,
    convolves,
)
from planner.catalog.store import Catalog, load_catalog
from planner.performance.kernels.modules import MODULE_KEYS, module_key
from planner.performance.kernels.table import STEPS

UNRUN = (
    "intel",
)  # no run of an engine on their GPUs was measured: host time and errors are not known
ROOT = Path(__file__).resolve().parents[1] / "catalogs" / "kernels"
LEAST_MORE_NS = 1e3  # less is noise between two kernels
ENGINES = {"vllm": "vllm", "sglang": "sglang", "trtllm": "tensorrt-llm", "nccl": "nccl"}


def main(folder: Path) -> int:
    """Write every file; print their sizes."""
    found: dict[tuple[str, str], Arrays] = {}
    for operation in OPERATIONS:
        for place, arrays in reduced(operation, folder).items():
            found.setdefault(place, {}).update(arrays)
    _share(found)
    gpus = {gpu.name for gpu in load_catalog().gpus() if gpu.vendor not in UNRUN}
    ROOT.mkdir(parents=True, exist_ok=True)
    total = 0
    for (gpu, engine), arrays in sorted(found.items()):
        if engine == "nccl" or gpu not in gpus:
            continue
        path = ROOT / f"{gpu}.{engine}.npz"
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]  # an array may be named allow_pickle
        total += path.stat().st_size
        print(f"{path.name:44} {path.stat().st_size / 1024:8.0f} KiB")
    print(f"{total / 2**20:.1f} MiB")
    return 0


def reduced(operation: TabledOperation, folder: Path) -> dict[tuple[str, str], Arrays]:
    """Return the arrays of one operation by (GPU, engine)."""
    columns = _read(operation, folder)
    gpu, engine = columns.values["gpu"], columns.values["engine"]
    gpus, engines = columns.words["gpu"], columns.words["engine"]
    lone = {gpu.name for gpu in load_catalog().gpus() if not gpu.link_gb_s}
    joined = np.array([operation.shared or (operation.peers and name in lone) for name in gpus])
    place = gpu * (len(engines) + 1) + np.where(joined[gpu], len(engines), engine)
    result: dict[tuple[str, str], Arrays] = {}
    for group in np.unique(place):
        own = columns.take(place == group)
        first = int(own.values["gpu"][0])
        arrays = _ladders(operation, own, bool(joined[first]))
        for one in np.unique(own.values["engine"]):
            name = ENGINES.get(engines[one])
            if arrays and name:
                result[gpus[first], name] = arrays
    return result


def _read(operation: TabledOperation, folder: Path) -> MeasuredColumns:
    path = folder / f"{operation.table}_perf.parquet"
    wanted = {"gpu", "engine", "engine_version", "kernel_source", "step", "distribution"}
    wanted |= {"moe_tp_size", "moe_ep_size", "phase", "nccl_dtype", "model", "compress_ratio"}
    wanted |= {*operation.keys, *(name for name, _ in operation.axes), "batch_size"}
    schema = pq.ParquetFile(path).schema_arrow
    values, words = {}, {}
    table = pq.read_table(path, columns=[n for n in schema.names if n in wanted or n == "latency"])
    for name in table.column_names:
        if name == "latency":
            continue
        column = table[name].combine_chunks()
        if str(column.type) == "string":
            coded = column.dictionary_encode()
            values[name] = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            words[name] = coded.dictionary.to_pylist()
        else:
            numbers = column.to_numpy(zero_copy_only=False).astype(float)
            values[name] = np.nan_to_num(numbers).astype(np.int64)
    if "model" in words:
        values |= _module_values(values, words)
    columns = MeasuredColumns(values, words, table["latency"].to_numpy().astype(float) * 1e6)
    good = np.isfinite(columns.ns) & (columns.ns > 0)
    if operation.keep is not None:
        good &= operation.keep(columns)
    return columns.take(good)


def _module_values(
    values: dict[str, NDArray[np.int64]], words: dict[str, list[str]]
) -> dict[str, NDArray[np.int64]]:
    """What identifies an attention module: its dimensions, from the model it was measured for."""
    catalog = load_catalog()
    kernels = words["kernel_source"]
    skips = np.array(["skip_indexer" in name for name in kernels])[values["kernel_source"]]
    ratios = values.get("compress_ratio", np.ones(len(skips), dtype=np.int64))
    keys = np.full((len(skips), len(MODULE_KEYS)), -1, dtype=np.int64)
    for code, name in enumerate(words["model"]):
        for ratio in np.unique(ratios[values["model"] == code]):
            for shared in (False, True):
                own = (values["model"] == code) & (ratios == ratio) & (skips == shared)
                keys[own] = _module_of(catalog, name, int(ratio), shared)
    return dict(zip(MODULE_KEYS, keys.T, strict=True))


def _module_of(catalog: Catalog, name: str, ratio: int, shared: bool) -> tuple[int, ...]:
    model = catalog.model(name)
    for layer in model.layers:
        key = module_key(model.hidden_size, layer.mixer)
        if key is not None and key[MODULE_KEYS.index("ratio")] == ratio:
            return (*key[:-1], int(shared))
    return (-1,) * len(MODULE_KEYS)


def _codes(columns: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    code = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        code = code * (int(column.max(initial=0)) + 1) + column
        code = np.unique(code, return_inverse=True)[1]
    return code


def _ladders(operation: TabledOperation, columns: MeasuredColumns, shared: bool) -> Arrays:
    """Newest and fastest per point, then one ladder (or grid) per shape."""
    if not len(columns.ns):
        return {}
    axes = [name for name, _ in operation.axes]
    key = [columns.values[name] for name in (*operation.keys, *axes)]
    source = _codes([*key, columns.values["engine"]])
    version = _version_rank(columns)
    newest = np.full(source.max() + 1, -1)
    np.maximum.at(newest, source, version)
    if not (operation.peers and shared):
        columns = columns.take(version == newest[source])
    columns, point = _points(operation, columns)
    if operation.total:
        columns, point = _summed(columns, point)
    if operation.more:
        columns, point = _beyond_first(operation, columns)
    if not len(columns.ns):
        return {}
    order = np.lexsort((columns.ns, point))
    columns = columns.take(order[np.concatenate([[True], np.diff(point[order]) > 0])])
    shape = _codes([columns.values[name] for name in operation.keys])
    order = np.argsort(shape, kind="stable")
    bounds = np.flatnonzero(np.concatenate([[True], np.diff(shape[order]) > 0, [True]]))
    keys, grids = [], []
    for start, end in itertools.pairwise(bounds):
        rows = columns.take(order[start:end])
        grid = _grid(operation, [rows.values[name] for name in axes], rows.ns)
        if grid is not None and operation.more:
            grid = _without_launch(grid)
        if grid is not None:
            keys.append([_cell(rows, name) for name in operation.keys])
            grids.append(grid)
    return _packed(operation, keys, grids) if keys else {}


def _points(
    operation: TabledOperation, columns: MeasuredColumns
) -> tuple[MeasuredColumns, NDArray[np.int64]]:
    """The columns, and which point of which shape each row measures."""
    axes = [name for name, _ in operation.axes]
    at = [columns.values[name] for name in (*operation.keys, *axes)]
    return columns, _codes(at) if len(columns.ns) else np.zeros(0, dtype=np.int64)


def _without_launch(grid: Floats) -> Floats:
    """What chunks take more without the launch of more kernels by the host [ln ns].

    The fewest tokens after few earlier ones are hardly any work: what they take more is the launch, which
    shows until a chunk keeps the device busy meanwhile, as the longest does.
    """
    spent = np.exp(grid)
    spent[:-1] -= spent[0, 1]
    found: Floats = np.log(np.maximum(spent, LEAST_MORE_NS))
    return found


def _cell(rows: MeasuredColumns, name: str) -> str | int:
    value = int(rows.values[name][0])
    return rows.words[name][value] if name in rows.words else value


def _summed(
    columns: MeasuredColumns, point: NDArray[np.int64]
) -> tuple[MeasuredColumns, NDArray[np.int64]]:
    """Add a module's kernels: the convolution and the fastest recurrence, or one that does both."""
    names = columns.words["kernel_source"]
    fused = np.array([name in FUSED for name in names])[columns.values["kernel_source"]]
    convolution = convolves(columns)
    total = np.zeros(point.max() + 1)
    for part in (convolution, ~convolution & ~fused):
        total += _fastest(part, columns, point)
    total = np.minimum(total, _fastest(fused, columns, point))
    good = np.isfinite(total[point])
    return MeasuredColumns(columns.values, columns.words, total[point]).take(good), point[good]


def _beyond_first(
    operation: TabledOperation, columns: MeasuredColumns
) -> tuple[MeasuredColumns, NDArray[np.int64]]:
    """What a chunk takes beyond the same one without earlier tokens, in its own engine's table.

    Of the engine that measured a shape at most points: another's few points would make a coarse ladder.
    Layers that follow an earlier layer's choice attend to few tokens as the others do.
    """
    shape = _codes([columns.values[name] for name in operation.keys])
    of_engine = _codes([shape, columns.values["engine"]])
    points = np.bincount(of_engine)
    most = np.zeros(shape.max() + 1, dtype=np.int64)
    np.maximum.at(most, shape, points[of_engine])
    columns = columns.take(points[of_engine] == most[shape])
    alike = [columns.values[name] for name in operation.keys if name != "shared"]
    chunk = _codes([*alike, columns.values["engine"], columns.values["isl"]])
    later = columns.values["step"] > 0
    first = _fastest(~later, columns, chunk)[chunk]
    more = MeasuredColumns(
        columns.values, columns.words, np.maximum(columns.ns - first, LEAST_MORE_NS)
    )
    return _points(operation, more.take(later & np.isfinite(first)))


def _fastest(part: Bools, columns: MeasuredColumns, point: NDArray[np.int64]) -> Floats:
    """The least latency of the kernels of ``part`` by point, infinite where none was measured [ns]."""
    best = np.full(point.max() + 1, np.inf)
    np.minimum.at(best, point[part], columns.ns[part])
    return best


def _version_rank(columns: MeasuredColumns) -> NDArray[np.int64]:
    names = columns.words["engine_version"]
    ordered = sorted(names, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])
    return np.array([ordered.index(name) for name in names])[columns.values["engine_version"]]


def _grid(operation: TabledOperation, at: list[NDArray[np.int64]], ns: Floats) -> Floats | None:
    """Put measured values on the common ladders; None where there are too few."""
    if len(operation.axes) == 1:
        if len(ns) < 4:
            return None
        return _along(at[0], ns, operation.axes[0][1], operation.rise[0])
    (_, outer), (_, inner) = operation.axes
    lines, ends = {}, {}
    for value in np.unique(at[0]):
        own = at[0] == value
        if own.sum() >= 3:
            lines[int(value)] = np.exp(_along(at[1][own], ns[own], inner, operation.rise[1]))
            ends[int(value)] = int(at[1][own].max())
    if not lines:
        return None
    known = np.array(sorted(lines))
    stack = np.array([lines[value] for value in known])
    lasts = [ends[int(value)] for value in known]
    stack = _beyond(stack, known, np.array(inner), lasts, operation.rise[0])
    each = [_along(known, stack[:, j], outer, operation.rise[0]) for j in range(len(inner))]
    return np.array(each).T


def _beyond(
    stack: Floats,
    known: NDArray[np.int64],
    inner: NDArray[np.int64],
    lasts: Sequence[int],
    rise: float,
) -> Floats:
    """Lines that end early, no slower beyond their end than the line before at as much work.

    Large batches were measured on short contexts alone, where latency hardly depends on the context:
    that it then grows in proportion is an upper bound, and so is ``rise`` with the sequences.
    """
    result = stack.copy()
    for i in range(1, len(known)):
        beyond = inner > lasts[i]
        grown = result[i - 1] * (known[i] / known[i - 1]) ** rise
        least = np.exp(np.interp(np.log(lasts[i]), np.log(inner), np.log(result[i])))
        result[i, beyond] = np.maximum(np.minimum(result[i], grown), least)[beyond]
    return result


def _along(at: NDArray[np.int64], ns: Floats, ladder: Iterable[int], rise: float) -> Floats:
    """Log latency on the ladder: interpolated in both logarithms, flat before the first value,
    ``x ** rise`` after the last."""
    order = np.argsort(at)
    x, y = np.log(np.maximum(at[order].astype(float), 1.0)), np.log(ns[order])
    wanted = np.log(np.array(tuple(ladder), dtype=float))
    values: Floats = np.interp(wanted, x, y)
    beyond = wanted > x[-1]
    values[beyond] += rise * (wanted[beyond] - x[-1])
    return values


def _packed(operation: TabledOperation, keys: list[list[str | int]], grids: list[Floats]) -> Arrays:
    words: list[str] = []
    rows = []
    for key in keys:
        words += [value for value in key if isinstance(value, str) and value not in words]
        rows.append([words.index(v) if isinstance(v, str) else v for v in key])
    codes = np.round(np.array(grids) * STEPS).astype(np.int64).reshape(len(grids), -1)
    deltas = np.diff(codes, axis=1, prepend=0)
    meta = {
        "keys": list(operation.keys),
        "words": words,
        "axes": [list(ladder) for _, ladder in operation.axes],
    }
    name = operation.name
    return {
        f"{name}.meta": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8),
        f"{name}.keys": np.array(rows, dtype=np.int32),
        f"{name}.high": (deltas >> 8).astype(np.int8),
        f"{name}.low": (deltas & 255).astype(np.uint8),
    }


def _share(found: dict[tuple[str, str], Arrays]) -> None:
    """What all engines run equally belongs to every engine of the GPU."""
    common = {operation.name for operation in OPERATIONS if operation.shared} | {"gather"}
    for (gpu, engine), arrays in found.items():
        for (other, _), more in found.items():
            if other == gpu and engine != "nccl":
                for name, array in more.items():
                    if name.split(".")[0] in common:
                        arrays.setdefault(name, array)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
