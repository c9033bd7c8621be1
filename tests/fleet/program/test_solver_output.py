"""Nothing but the answer on standard output, whatever a solver's library prints there."""

import subprocess
import sys

NOISY = """
import ctypes, os
from planner.fleet.program.solver_output import native_stdout_silenced
libc = ctypes.CDLL(None)
print("before")
with native_stdout_silenced():
    libc.printf(b"banner through C's buffer\\n")
    os.write(1, b"banner through the descriptor\\n")
print("after")
"""

CLOSED = """
import os
os.close(1)
from planner.fleet.program.solver_output import native_stdout_silenced
with native_stdout_silenced():
    pass
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_a_solver_banner_never_reaches_standard_output():
    assert run(NOISY).stdout == "before\nafter\n"


def test_a_closed_standard_output_is_no_fault():
    run(CLOSED)
