"""What exists: models, accelerators, offers, engines and support rules, read from ``catalogs/``."""
