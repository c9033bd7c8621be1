"""Cluster manifests: Kubernetes, LeaderWorkerSet, KEDA and llm-d objects."""
