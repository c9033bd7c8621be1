"""Compiles the simulator's core into the wheel; without a C compiler the wheel is pure Python."""

from __future__ import annotations

import os
import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "planner/serving/simulation/compiled"


class CoreHook(BuildHookInterface[Any]):
    """Builds the core in place, so that an editable install finds it, and takes it along."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if os.environ.get("PLANNER_COMPILED_CORE") == "0":
            return
        made = runpy.run_path(str(Path(self.root, FOLDER, "build.py")))["build"]()
        if not isinstance(made, Path):
            self.app.display_warning(f"the compiled core is left out: {made}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["artifacts"].append(f"{FOLDER}/{made.name}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
