"""Another package on the index installs a module and a command of the same name: say when both are there."""

from __future__ import annotations

from pathlib import Path

OTHER = "llm-d-planner"


def packages_mixed(folder: Path | None = None) -> str | None:
    """A sentence on what to do where the other package shares this one's folder; None where it does not.

    ``folder``: where packages are installed. Files of both then lie in one module, and the command is
    that of whichever was installed last.
    """
    folder = folder or Path(__file__).resolve().parents[1]
    mark = OTHER.replace("-", "_")
    try:
        found = any(folder.glob(f"{mark}-*.dist-info"))
    except OSError:
        return None
    if not found:
        return None
    return (
        f"the package {OTHER} is installed beside llm-fleet-planner, and both bring a module and a command "
        "named planner; use an environment for each, or: "
        f"pip uninstall {OTHER} && pip install --force-reinstall llm-fleet-planner"
    )
