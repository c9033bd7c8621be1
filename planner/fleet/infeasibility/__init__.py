"""Why no fleet exists: the smallest conflict and its cheapest relaxations."""
