"""The compiled core as ctypes sees it: its structures, field by field as in ``core.h``, and its functions.

The library holds plain C: one build serves every Python version, and the interpreter's lock is free while
it runs. ``PLANNER_COMPILED_CORE=0`` leaves it unused.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_double, c_int, c_int64, c_void_p
from functools import cache

from planner.serving.simulation.compiled.build import LIBRARY, source_digest

SWITCH = "PLANNER_COMPILED_CORE"
MOST_WINDOWS = 2
DONE, OVERLOADED, INTERRUPTED, OUT_OF_MEMORY, OUT_OF_DOMAIN = range(5)

FillRow = ctypes.CFUNCTYPE(c_int, c_int64, c_int64, c_int64)
PriceStep = ctypes.CFUNCTYPE(c_int, c_int64, POINTER(c_double), POINTER(c_double))
Progress = ctypes.CFUNCTYPE(c_int, c_int64)


def _whole(names: str) -> list[tuple[str, type[c_int64]]]:
    return [(name, c_int64) for name in names.split()]


def _real(names: str) -> list[tuple[str, type[c_double]]]:
    return [(name, c_double) for name in names.split()]


def _addresses(names: str) -> list[tuple[str, type[c_void_p]]]:
    return [(name, c_void_p) for name in names.split()]


class CoreTable(ctypes.Structure):
    """A step table: lattices, and the addresses of the rows that were filled."""

    _fields_ = [
        *_whole("knots_count coarse_count batches_count prefills_count rows_count"),
        *_addresses("knots coarse batches prefills rows mixed"),
        *_whole("ranks joins"),
    ]


class CoreLimits(ctypes.Structure):
    """A replica's limits, with what ``Replica`` derives from them."""

    _fields_ = [
        *_whole("max_num_seqs max_num_batched_tokens chunk_tokens block_tokens grows grows_alone"),
        *_whole("draft_tokens ranks chunked prefix_caching windows_count"),
        ("window_tokens", c_int64 * MOST_WINDOWS),
        ("window_bytes", c_double * MOST_WINDOWS),
        *_real("state_bytes block_bytes unit_bytes pool_blocks tokens_per_step"),
    ]


class CoreLink(ctypes.Structure):
    """Where the answers of prefill replicas are written, and how their KV cache gets there."""

    _fields_ = [*_whole("pool limits units"), *_real("bytes_per_s latency_s admission_s")]


class CoreMember(ctypes.Structure):
    """One replica, and the sums over its steps."""

    _fields_ = [
        *_whole("table limits scheduler link unit"),
        *_real("ready_s retire_s"),
        *_whole("steps prefilled_tokens"),
        *_real("prefill_busy_s decode_busy_s batch_area kv_area"),
    ]


class CoreGroup(ctypes.Structure):
    """Equal replicas with consecutive numbers behind one router."""

    _fields_ = [*_whole("first count policy"), *_real("weight"), *_addresses("random")]


class CorePool(ctypes.Structure):
    """Groups with consecutive numbers that a request may go to."""

    _fields_ = _whole("first_group groups")


class CoreService(ctypes.Structure):
    """Everything a run needs, and what it found."""

    _fields_ = [
        *_whole("requests concurrency max_backlog max_queue scales"),
        *_real("cached_share admission_s sample_every_s"),
        *_addresses("prompts outputs arrivals calls levels"),
        *_whole("levels_count"),
        *_addresses("start_s first_s end_s longest_gap_s"),
        *_addresses("preemptions replica cached shed"),
        *_whole("tables_count limits_count links_count members_count groups_count pools_count"),
        *_addresses("tables limits links members groups pools"),
        ("fill_row", FillRow),
        ("price_step", PriceStep),
        ("progress", Progress),
        *_whole("sent samples_count gaps_count"),
        *_real("area clock_s"),
        ("samples", POINTER(c_double)),
        ("gaps", POINTER(c_int64)),
    ]


def library() -> ctypes.CDLL | None:
    """The core, None where it was not built or is switched off."""
    return None if os.environ.get(SWITCH) == "0" else built_library()


@cache
def built_library() -> ctypes.CDLL | None:
    """The core, None where it was not built from these sources or a C long has not 64 bits."""
    if ctypes.sizeof(ctypes.c_long) != ctypes.sizeof(c_int64):
        return None
    try:
        core = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return None
    core.planner_core_source.restype = c_char_p
    if core.planner_core_source() != source_digest().encode():
        return None
    core.planner_core_run.argtypes = core.planner_core_release.argtypes = [POINTER(CoreService)]
    core.planner_core_run.restype = c_int
    core.planner_core_release.restype = None
    return core
