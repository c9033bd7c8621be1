"""What every chart shares: a figure drawn on demand, names that fit, keys that are unique."""

from __future__ import annotations

import textwrap
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from planner.reporting.charts import canvas
from planner.reporting.document import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def figure(
    key: str, title: str, description: str, paint: Callable[[Axes], None], height_in: float
) -> Figure:
    """A figure that ``paint`` draws when a format wants it."""
    return Figure(
        key,
        title,
        description,
        partial(canvas.draw, key, title, description, paint, height_in=height_in),
    )


def wrap(text: str) -> str:
    """At most two short lines; a percent sign stays with its number."""
    whole = text.replace(" %", "\N{NO-BREAK SPACE}%")
    return "\n".join(textwrap.wrap(whole, 26, max_lines=2, placeholder=" …"))


def slug(text: str) -> str:
    """Text as part of a key: readable, and another for every other text."""
    readable = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return f"{readable}-{zlib.crc32(text.encode()):x}"
