"""Start-up logs of engines, read and checked against the sizing."""
