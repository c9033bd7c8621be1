"""How each architecture family turns a ``config.json`` into layers of tensors."""
