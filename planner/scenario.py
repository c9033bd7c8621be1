"""The question: what a person asks, read from one YAML file.

Scenario > Service > (model, rate, lengths, slo, search); limits and prices are the scenario's.
Every field is strict: unknown keys are errors, numbers are finite, "50" is not a number.
"""
