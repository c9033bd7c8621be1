"""Step by step simulation of replicas under load: the reference."""
