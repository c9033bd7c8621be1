"""What a server's workers do in tests of the server itself; importable by the processes it starts."""

import os
import time

from planner.errors import InputError


def scripted(_state, request, progress):
    """Does what the scenario's text says."""
    match request.scenario.split():
        case ["work", seconds]:
            until = time.monotonic() + float(seconds)
            while time.monotonic() < until:
                progress("working")
                time.sleep(0.02)
        case ["hang"]:
            progress("hanging")
            time.sleep(600)
        case ["die"]:
            os._exit(1)
        case ["fail"]:
            raise RuntimeError("a secret of the server")
        case ["refuse"]:
            raise InputError("not like this", where="scenario.yaml:3, rate", found=-1)
    return {"scenario": request.scenario, "process": os.getpid()}


# Questions of this process whose first simulation found the machine busy.
_put_off: set[str] = set()


def busy_at_first(state, request, progress):
    """The server's own answers; the first simulation of a question, and each report, takes a minute."""
    long = getattr(request, "verify", None) == "simulate" or (
        getattr(request, "detail", None) == "report"
    )
    if long and request.scenario not in _put_off:
        _put_off.add(request.scenario)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            progress("simulating")
            time.sleep(0.05)
    from planner.web.handlers import handle  # here alone: other workers start at once without it

    return handle(state, request, progress)
