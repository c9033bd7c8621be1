"""Terminal text against its golden file: words and decisions exactly, predictions within a tolerance."""

import math
import re

from planner import __version__

TOLERANCE = 0.05  # of a latency, rate or share: a refit within it rewrites no golden text
ROUNDING = 1.0  # of the last digit that is printed
UNIT = r"(?:ms|s|req/s|requests/s|/s|%|tokens|MB|GB|GiB)\b|(?:ms|s|req/s|%)"
NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
PREDICTION = re.compile(
    rf"(?<![\w$.,-])(?:({NUMBER})(?: to | of )(?={NUMBER} ?(?:{UNIT}))|({NUMBER})(?= ?(?:{UNIT})))"
)
CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\+00:00|Z)"), "TIME"),
    (re.compile(r"catalog [0-9a-f]{12}"), "catalog DIGEST"),
    (re.compile(r"(\w+ digest) +[0-9a-f]{12,}(?: *\n +[0-9a-f]+(?=\s))*"), r"\1 DIGEST"),
    (re.compile(r"highs \d+\.\d+\.\d+"), "highs VERSION"),
    (re.compile(rf"planner {re.escape(__version__)}"), "planner VERSION"),
)


def masked(text):
    """The text without what differs between two runs or two versions; no spaces at line ends."""
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def is_same(old, new):
    """Whether two texts say the same: equal but for spaces, lines of tables, and close predictions."""
    return _skeleton(old) == _skeleton(new) and all(map(_is_near, _numbers(old), _numbers(new)))


def _plain(text):
    return " ".join(re.sub(r"[─━]+|-{3,}", " ", text).split())


def _skeleton(text):
    return PREDICTION.sub("#", _plain(text))


def _numbers(text):
    return [a or b for a, b in PREDICTION.findall(_plain(text))]


def _is_near(old, new):
    a, b = (float(n.replace(",", "")) for n in (old, new))
    step = 10.0 ** -len(old.partition(".")[2])
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=ROUNDING * step)
