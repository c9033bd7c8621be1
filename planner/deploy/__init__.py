"""How it starts: launch commands and manifests that hold a plan."""
