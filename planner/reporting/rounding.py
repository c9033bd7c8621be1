"""How every number is written for people: the one place where values are rounded.

A function takes an exact value (or None, meaning unknown) and returns text. Unknown is "-", never 0.
Files for machines (JSON, CSV, spreadsheet cells) carry the exact values and do not pass through here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeGuard

from planner.units import GIB

_LEAST_HOURS = 36_000.0  # [s] below that, minutes
UNKNOWN = "-"
Number = float | int | None
_DIGITS = 3


def usd(value: Number) -> str:
    """Money [USD]: ``$0.0123``, ``$36.48``, ``$26,630``; cents are dropped from 10,000 on."""
    if not _known(value):
        return UNKNOWN
    size = abs(value)
    if size >= 10_000:
        text = f"{size:,.0f}"
    elif size >= 1 or size == 0:
        text = f"{size:,.2f}"
    else:
        text = f"{size:.{_decimals(size)}f}"
    return f"{'-' if value < 0 else ''}${text}"


def usd_per_hour(value: Number) -> str:
    """A rent [USD/h]: ``$36.48/h``."""
    return f"{usd(value)}/h" if _known(value) else UNKNOWN


def seconds(value: Number) -> str:
    """A time [s] in the unit a person would choose: ``34.2 ms``, ``1.85 s``, ``12 min``, ``24 h``."""
    if not _known(value):
        return UNKNOWN
    size = abs(value)
    if size == 0:
        return "0 s"
    for limit, factor, unit in ((1e-3, 1e-6, "µs"), (1.0, 1e-3, "ms"), (600.0, 1.0, "s")):
        if size < limit and float(f"{size / factor:.{_DIGITS}g}") * factor < limit:
            return f"{significant(value / factor)} {unit}"
    if size < _LEAST_HOURS:
        return f"{value / 60:,.0f} min"
    hours = round(value / 3600, 1)
    return f"{hours:,.0f} h" if hours == int(hours) else f"{hours:,.1f} h"


def qps(value: Number) -> str:
    """A request rate [requests/s]: ``50 req/s``, ``3.62 req/s``."""
    return f"{significant(value)} req/s" if _known(value) else UNKNOWN


def share(value: Number) -> str:
    """A share of one as percent: ``87 %``, ``0.4 %``, ``0.01 %``; less than a millionth is ``0 %``."""
    if not _known(value):
        return UNKNOWN
    percent = 100 * value
    if abs(percent) < 1e-4:
        return "0 %"
    if abs(percent) >= 10:
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if abs(percent) >= 0.1 else f"{significant(percent, 1)} %"


def gib(size_bytes: Number) -> str:
    """Memory [bytes] in GiB (2**30 bytes), one decimal: ``67.3 GiB``."""
    return f"{size_bytes / GIB:,.1f} GiB" if _known(size_bytes) else UNKNOWN


def count(value: Number) -> str:
    """Things that are counted: ``24``, ``131,072``; a fraction keeps one decimal."""
    if not _known(value):
        return UNKNOWN
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.1f}"


def significant(value: Number, digits: int = _DIGITS) -> str:
    """A plain number to ``digits`` significant digits, never in scientific notation: ``0.0342``."""
    if not _known(value):
        return UNKNOWN
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    text = f"{value:.{_decimals(value, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def fixed(value: Number, decimals: int = 2) -> str:
    """A number in the unit its column names, always with that many decimals: ``18.09``."""
    return f"{value:,.{decimals}f}" if _known(value) else UNKNOWN


def compact(value: Number) -> str:
    """A count for narrow columns: ``950``, ``29k``, ``1.2M``."""
    if not _known(value):
        return UNKNOWN
    for limit, factor, unit in ((1e4, 1.0, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M")):
        if abs(value) < limit:
            scaled = value / factor
            return f"{scaled:.1f}{unit}" if unit == "M" and scaled < 10 else f"{scaled:.0f}{unit}"
    return f"{value / 1e9:.1f}G"


def interval(
    low: Number, high: Number, write: Callable[[Number], str] = seconds, level: Number = None
) -> str:
    """A range, ``1.6 s to 2.1 s``; with ``level``, ``1.6 s to 2.1 s (80 %)``.

    Without an upper end it is ``more than 1.6 s``.
    """
    if not _known(low):
        return UNKNOWN
    text = f"{write(low)} to {write(high)}" if _known(high) else f"more than {write(low)}"
    return f"{text} ({share(level)})" if _known(level) else text


def signed_share(value: Number) -> str:
    """A relative change: ``+12 %``, ``-0.4 %``, ``0 %``."""
    text = share(value)
    return f"+{text}" if _known(value) and value > 0 and text != "0 %" else text


def relative(old: Number, new: Number) -> str:
    """The signed change: ``+12 %``, ``-0.4 %``; "-" when unknown or from zero."""
    if not (_known(old) and _known(new)) or old == 0:
        return UNKNOWN
    return signed_share((new - old) / abs(old))


def change(old: Number, new: Number, write: Callable[[Number], str] = significant) -> str:
    """``old -> new (+12 %)``; the percentage is left out where it has no meaning."""
    text = f"{write(old)} -> {write(new)}"
    percent = relative(old, new)
    return text if percent == UNKNOWN or old == new else f"{text} ({percent})"


def _known(value: Number) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _decimals(value: float, digits: int = _DIGITS) -> int:
    """Decimals that show ``digits`` significant digits of a non-zero number."""
    exponent = int(f"{abs(value):.{digits - 1}e}".partition("e")[2])
    return max(0, digits - 1 - exponent)
