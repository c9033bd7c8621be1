"""Many solves at once: worker processes, looking ahead, and being told to stop."""
