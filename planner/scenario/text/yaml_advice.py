"""What to do about a text that is not YAML: one sentence for each mistake that people make."""

from __future__ import annotations

import re

import yaml

_START_AGAIN = "compare with a scenario that `planner init` writes"
_ADVICE = (
    (r"'\\t'", "indent with spaces: a tab is none"),
    (
        r"mapping values are not allowed",
        "start a new line for the next field, or quote a text with ': '",
    ),
    (r"expected ',' or '(.)'", r"close the list or mapping of line {line} with \1"),
    (r"unexpected end of stream", "close the quote of line {line}"),
    (r"escape character", "use single quotes: in double quotes a backslash begins an escape"),
    (r"quoted scalar", "close the quote of line {line}"),
    (r"cannot start any token", "put a value that begins with such a character in quotes"),
    (r"undefined alias", "put a value that begins with * in quotes"),
    (r"expected alphabetic or numeric character", "put a value that begins with * or & in quotes"),
    (
        r"constructor for the tag",
        "remove the tag (!...): values are text, numbers, lists and mappings",
    ),
    (r"could not find expected ':'", "write the field as name, colon, space, value"),
    (r"expected <block end>", "indent the fields that belong together alike"),
    (r"(YAML document|directive)", "remove the line that begins with %"),
    (
        r"special characters are not allowed",
        "remove the control character: it is in none of the fields",
    ),
)


def advice(error: yaml.MarkedYAMLError) -> str:
    """The next action for what a YAML parser found, with the line where the mistake began."""
    text = " ".join(filter(None, (error.problem, error.context)))
    mark = error.context_mark or error.problem_mark
    for pattern, action in _ADVICE:
        if match := re.search(pattern, text):
            return match.expand(action.replace("{line}", str(mark.line + 1) if mark else "?"))
    return _START_AGAIN
