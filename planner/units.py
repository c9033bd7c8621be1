"""Units: bytes, tokens, seconds, US dollars; and how a person writes them.

SI throughout: GB = 1e9 bytes, GiB = 2**30 bytes, never mixed.
"""

from __future__ import annotations

import math
import re

GB = 1_000_000_000
GIB = 1 << 30
MIB = 1 << 20
TERA = 1e12
HOURS_PER_MONTH = 730.0
HOURS_PER_YEAR = 8760.0
DAY_S = 86_400.0

_DURATION_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": DAY_S}
_SIZE_BYTES = {
    "B": 1,
    "KB": 1_000,
    "MB": 1_000_000,
    "GB": GB,
    "TB": 1_000_000_000_000,
    "KIB": 1 << 10,
    "MIB": MIB,
    "GIB": GIB,
    "TIB": 1 << 40,
}
_NUMBER_UNIT = re.compile(
    r"^\s*([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*([A-Za-z]*)\s*$"
)


def dollars(usd: float) -> str:
    """Money in a sentence [USD]: ``$515,000``, below 1,000 ``$36.48``, below 1 ``$0.085``."""
    size = abs(usd)
    text = f"{size:,.0f}" if size >= 1000 else f"{size:,.2f}"
    if 0 < size < 1:
        text = f"{size:.4f}".rstrip("0")
        text += "0" * (2 - len(text.partition(".")[2]))
    return f"{'-' if usd < 0 else ''}${text}"


def duration(seconds: float, digits: int = 3) -> str:
    """A latency in a sentence [s]: ``1.85 s``, below a second ``34.2 ms``, in whole seconds ``1,250 s``."""
    if seconds >= 10 ** (digits - 1):
        return f"{seconds:,.0f} s"
    text = f"{seconds:.{digits}g}"
    return f"{text} s" if float(text) >= 1 else f"{1000 * seconds:.{digits}g} ms"


def exact(seconds: float) -> str:
    """The same to four digits, for two that are compared: ``659.6 ms``."""
    return duration(seconds, 4)


def parse_duration_s(value: object) -> float:
    """Return seconds [s] from ``"2s"``, ``"100ms"``, ``"30m"``, or a bare number of seconds.

    Raises ValueError when the text is not a finite, non-negative duration.
    """
    return _parse(value, _DURATION_S, default="s", example='"2s", "100ms", "30m" or seconds')


def unit_missing(text: str) -> str:
    """How a duration without a unit was read, and what to write; "" where it has one (or is zero)."""
    match = _NUMBER_UNIT.match(text)
    if match is None or match[2] or not float(match[1]):
        return ""
    number = match[1]
    return (
        f"{number} without a unit is read as {number} seconds; "
        f"write {number}s, or {number}ms for milliseconds"
    )


def parse_size_bytes(value: object) -> float:
    """Return bytes [B] from ``"80GiB"``, ``"2.5 GB"`` or a bare number of bytes."""
    return _parse(
        value, _SIZE_BYTES, default="B", example='"80GiB", "24GB" or bytes', fold=str.upper
    )


def _parse(
    value: object,
    factors: dict[str, float] | dict[str, int],
    *,
    default: str,
    example: str,
    fold: object = str.lower,
) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"expected {example}, found {value!r}")
    if isinstance(value, (int, float)):
        number, unit = float(value), default
    else:
        match = _NUMBER_UNIT.match(value)
        if match is None:
            raise ValueError(f"expected {example}, found {value!r}")
        number = float(match.group(1))
        unit = (match.group(2).upper() if fold is str.upper else match.group(2).lower()) or default
    if unit not in factors:
        raise ValueError(f"unknown unit {unit!r} in {value!r}; known: {', '.join(factors)}")
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"expected a finite, non-negative value, found {value!r}")
    return number * factors[unit]


CONTROL = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f]")


def printable(text: str) -> str:
    """The text with control characters (ESC, BEL, ...) shown as U+FFFD; line ends and tabs stay."""
    return CONTROL.sub("\ufffd", text)


def control_in(data: object) -> str | None:
    """The first control character in any text of JSON-like data, or None."""
    rest = [data]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            match = CONTROL.search(part)
            if match is not None:
                return match[0]
        elif isinstance(part, dict):
            rest += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            rest += part
    return None


_TOKENS = re.compile(r"^\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([kKmM])(?:\s*tokens)?\s*$")
_THOUSANDS = {"k": 1e3, "m": 1e6}
_RATE = re.compile(
    r"^\s*([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*([kKM])?\s*"
    r"(?:(?:(?:req|requests?)\s*)?(?:/|per)\s*(s|sec|second|m|min|minute|h|hour|d|day)|qps|rps)\s*$"
)
_RATE_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY_S}


def parse_tokens(value: object) -> object:
    """Return tokens from ``"8k"`` (k = 1,000, M = 1,000,000); anything else as it is, to be judged."""
    match = _TOKENS.match(value) if isinstance(value, str) else None
    return value if match is None else float(match[1]) * _THOUSANDS[match[2].lower()]


def parse_rate_qps(value: object) -> object:
    """Return requests per second [1/s] from ``"20/s"``, ``"1200/min"``, ``"100k/day"`` or ``"5 qps"``.

    Anything else comes back as it is, to be judged.
    """
    match = _RATE.match(value) if isinstance(value, str) else None
    if match is None:
        return value
    times = _THOUSANDS[match[2].lower()] if match[2] else 1.0
    return float(match[1]) * times / _RATE_S[(match[3] or "s")[0]]


def counted(count: int, noun: str) -> str:
    """A number and its noun: ``1 GPU``, ``2 GPUs``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
