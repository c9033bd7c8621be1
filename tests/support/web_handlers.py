"""What a server's workers do in tests of the server itself; importable by the processes it starts."""

import os
import time

from planner.errors import InputError


def scripted(_workplace, request, progress):
    """Does what the scenario's text says."""
    match request.scenario.split():
        case ["work", seconds]:
            until = time.monotonic() + float(seconds)
            while time.monotonic() < until:
                progress("working")
                time.sleep(0.02)
        case ["hang"]:
            time.sleep(600)
        case ["die"]:
            os._exit(1)
        case ["fail"]:
            raise RuntimeError("a secret of the server")
        case ["refuse"]:
            raise InputError("not like this", where="scenario.yaml:3, rate", found=-1)
    return {"scenario": request.scenario, "process": os.getpid()}
