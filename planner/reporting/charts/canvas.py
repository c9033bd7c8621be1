"""A small SVG canvas over matplotlib: one look for all charts, colours that follow the page.

Charts are painted with placeholder colours. Inside a page they become CSS variables, so that one
drawing serves light and dark; in a file of its own they become the light theme's colours.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from planner.reporting.optional_packages import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010101"
MUTED = "#010102"
RULE = "#010103"
ACCENT = "#010104"
QUIET = "#010105"
WARN = "#010106"
SERIES = ("#010111", "#010112", "#010113", "#010114", "#010115", "#010116", "#010117")

_VARIABLES: Mapping[str, str] = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    ACCENT: "--accent",
    QUIET: "--quiet",
    WARN: "--warn",
    **{colour: f"--series-{i}" for i, colour in enumerate(SERIES, 1)},
}
LIGHT: Mapping[str, str] = {
    "--ink": "#1d2129",
    "--muted": "#545b66",
    "--rule": "#dfe3e8",
    "--accent": "#0b62a8",
    "--quiet": "#a9b4c0",
    "--warn": "#b3401a",
    "--series-1": "#0b62a8",
    "--series-2": "#c46f17",
    "--series-3": "#2f8f5b",
    "--series-4": "#8e5bb5",
    "--series-5": "#c23b5a",
    "--series-6": "#7a8794",
    "--series-7": "#c9d1d9",
}
DARK: Mapping[str, str] = {
    "--ink": "#e8eaed",
    "--muted": "#a9b1bc",
    "--rule": "#343a43",
    "--accent": "#6cb2eb",
    "--quiet": "#5d6875",
    "--warn": "#f0885e",
    "--series-1": "#6cb2eb",
    "--series-2": "#f0a85e",
    "--series-3": "#6cc592",
    "--series-4": "#c39be0",
    "--series-5": "#f08ba2",
    "--series-6": "#97a3b0",
    "--series-7": "#4a535e",
}
_STYLE: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "text.parse_math": False,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def draw(
    key: str,
    title: str,
    description: str,
    paint: Callable[[Axes], None],
    *,
    height_in: float = 2.7,
) -> str:
    """Paint one chart and return it as an SVG element with a title and a description inside.

    ``key`` keeps ids apart when several charts share a page. Same input, same text.
    """
    need("matplotlib", "drawing charts")
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {**_STYLE, "svg.hashsalt": key}
    with rc_context(style):
        figure = Figure(figsize=(4.8, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure.add_subplot())
        _laid_out(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _clean(buffer.getvalue(), key, title, description)


def _laid_out(figure: Figure) -> None:
    """Lay the chart out now: saving one that has a layout draws it twice, once for the layout alone."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def standalone(svg: str) -> str:
    """The same drawing as a file of its own, in the light theme's colours."""
    for name, colour in LIGHT.items():
        svg = svg.replace(f"var({name})", colour)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + svg + "\n"


def _clean(text: str, key: str, title: str, description: str) -> str:
    svg = text[text.index("<svg") :].rstrip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{key}-\1"', svg)
    svg = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 system-ui, sans-serif", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    head = re.compile(r"<svg [^>]*>", re.DOTALL)
    box = re.search(r'viewBox="([^"]+)"', svg)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{box[1] if box else "0 0 345 194"}" role="img" '
        f'aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{html.escape(title)}</title>'
        f'<desc id="{key}-desc">{html.escape(description)}</desc>'
    )
    return head.sub(lambda _: opening, svg, count=1)
