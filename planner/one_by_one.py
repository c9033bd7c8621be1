"""Many answers, one after another: how far it is, and what is finished when Ctrl-C ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Counted = Callable[[int, int, str], None]  # how many are done, of how many, and which is next


def one_by_one(
    items: Sequence[Item],
    answer: Callable[[Item], Answer],
    label: Callable[[Item], str],
    progress: Counted | None = None,
    *,
    keeps: bool = False,
) -> list[Answer]:
    """The answers in order; ``progress`` is called before each.

    ``keeps``: Ctrl-C ends it with the answers that are there, fewer than items; it is raised where there
    are none.
    """
    answers: list[Answer] = []
    for done, item in enumerate(items):
        if progress is not None:
            progress(done, len(items), label(item))
        try:
            answers.append(answer(item))
        except KeyboardInterrupt:
            if not (keeps and answers):
                raise
            break
    return answers
