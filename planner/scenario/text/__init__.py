"""The text of a scenario: YAML read with its lines, what to do about mistakes, fields changed in place."""
