"""The names under which NVIDIA's device plugin offers parts of a GPU."""

from __future__ import annotations

WHOLE = "nvidia.com/gpu"


def shared_resource(profile: str) -> str:
    """A MIG slice by its profile, or a time slice where there is none (``gpu_parts``)."""
    return f"nvidia.com/mig-{profile.replace('+', '.')}" if profile else f"{WHOLE}.shared"
