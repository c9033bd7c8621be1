"""Memory and processor time of a process and of those it started, from /proc."""

import os
from pathlib import Path

HAS_PROC = Path("/proc/self/status").exists()


def family(first: int) -> set[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents[int(status.parent.name)] = int(after_name[1])
    found, before = {first}, 0
    while len(found) > before:
        before = len(found)
        found |= {pid for pid, parent in parents.items() if parent in found}
    return found


def resident_bytes(first: int) -> int:
    """Memory that a process and its descendants hold."""
    page = os.sysconf("SC_PAGE_SIZE")
    return page * sum(int(text.split()[1]) for text in _read(first, "statm"))


def processor_s(first: int) -> float:
    """User and system time that a process and its living descendants took so far [s]."""
    ticks = (text.rpartition(")")[2].split()[11:13] for text in _read(first, "stat"))
    return sum(int(n) for pair in ticks for n in pair) / os.sysconf("SC_CLK_TCK")


def _read(first: int, name: str) -> list[str]:
    found = []
    for pid in family(first):
        try:
            found.append(Path(f"/proc/{pid}/{name}").read_text())
        except OSError:
            continue
    return found
