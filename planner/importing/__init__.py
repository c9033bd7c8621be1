"""What runs today, read from metrics and manifests, as a scenario and as a fleet to compare with a plan."""
