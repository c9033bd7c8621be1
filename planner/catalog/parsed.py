"""Documents parsed once: their content as JSON in the user's cache folder, by a hash of the text."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from planner import cache_folder

FORM = "1"
DATE = "\0date"
LEAST_CHARACTERS = 2_000  # shorter texts are parsed as fast as they are found


def parsed_once(kind: str, text: str, parse: Callable[[str], Any]) -> Any:
    """What ``parse`` makes of ``text``, from an earlier run where its content was kept.

    ``kind``: names the parser among others of the same texts. Content that JSON would change (keys
    that are no text, moments in time) is parsed each time.
    """
    if len(text) < LEAST_CHARACTERS or cache_folder.cache_folder() is None:
        return parse(text)
    key = cache_folder.key_of((FORM, cache_folder.program(), text))
    kept = cache_folder.load(kind, key)
    if isinstance(kept, list) and len(kept) == 1:
        return _restored(kept[0])
    content = parse(text)
    try:
        plain = _plain(content)
    except TypeError:
        return content
    cache_folder.save(kind, key, [plain])
    return content


def _plain(content: object) -> object:
    """``content`` in JSON values; raises TypeError where it would not come back as it was."""
    if isinstance(content, dict):
        if not all(isinstance(key, str) for key in content) or DATE in content:
            raise TypeError("a key that is no text")
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_plain(value) for value in content]
    if type(content) is datetime.date:
        return {DATE: content.isoformat()}
    if content is None or isinstance(content, str | bool | int | float):
        return content
    raise TypeError(f"no JSON value: {type(content).__name__}")


def _restored(content: Any) -> Any:
    if isinstance(content, dict):
        if DATE in content:
            return datetime.date.fromisoformat(content[DATE])
        return {key: _restored(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_restored(value) for value in content]
    return content
