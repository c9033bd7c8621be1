"""Plan by plan: restricted options side by side, differences and their causes, sweeps."""
