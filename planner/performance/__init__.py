"""How fast: step times of one replica as named parts, from rooflines and calibrated factors."""
