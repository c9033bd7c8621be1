"""What can be held without eyes: order of headings, names of things, contrast of colours."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import planner.reporting
from planner.reporting.charts.canvas import DARK, LIGHT
from planner.reporting.formats import html
from planner.reporting.plan.plan_document import plan_document

CSS = (Path(planner.reporting.__file__).parent / "templates" / "page.css").read_text()
TEXT_COLOURS = ("--ink", "--muted", "--accent", "--warn")
SHAPE_COLOURS = ("--accent", "--warn", "--series-1", "--series-2", "--series-3", "--series-4")


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def backgrounds():
    """(theme, background) pairs of the style sheet."""
    light, dark = re.findall(r":root \{([^}]*--page[^}]*)\}", CSS)
    for theme, block in ((LIGHT, light), (DARK, dark)):
        for name in ("--page", "--panel", "--warning-panel"):
            yield theme, re.search(rf"{name}: (#\w{{6}})", block)[1]


@pytest.mark.parametrize("colour", TEXT_COLOURS)
def test_text_contrasts_with_every_background(colour):
    for theme, background in backgrounds():
        assert contrast(theme[colour], background) >= 4.5, background


@pytest.mark.parametrize("colour", SHAPE_COLOURS)
def test_shapes_contrast_with_the_page(colour):
    pages = [(theme, b) for i, (theme, b) in enumerate(backgrounds()) if i % 3 == 0]
    for theme, background in pages:
        assert contrast(theme[colour], background) >= 3, background


class Outline(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.headings, self.ids, self.svgs, self.tables, self.regions = [], [], [], [], []
        self.lang = None
        self.labelled = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in attrs:
            self.ids.append(attrs["id"])
        self.labelled += attrs.get("aria-labelledby", "").split()
        if tag == "html":
            self.lang = attrs.get("lang")
        if tag == "svg":
            self.svgs.append(attrs)
        if tag == "th":
            self.tables.append(attrs.get("scope"))
        if attrs.get("role") == "region":
            self.regions.append(attrs.get("aria-label"))


@pytest.fixture
def outline(findings):
    return Outline(html.render(plan_document(findings)))


def test_headings_do_not_skip_a_level(outline):
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))


def test_every_figure_has_a_title_and_a_description(outline):
    assert len(outline.svgs) >= 5
    for svg in outline.svgs:
        assert svg["role"] == "img"
        names = svg["aria-labelledby"].split()
        assert len(names) == 2
        assert set(names) <= set(outline.ids)


def test_names_point_to_what_exists_and_ids_are_unique(outline):
    assert set(outline.labelled) <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))


def test_tables_have_column_heads_and_scrolling_regions_a_name(outline):
    assert set(outline.tables) == {"col"}
    assert all(outline.regions)
    assert outline.lang == "en"
