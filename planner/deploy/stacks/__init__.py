"""Serving stacks that start engines from their own documents: KServe, NVIDIA Dynamo, production-stack."""
