"""A project folder: its settings (``narcf.yaml``), its catalog, and where each result lies."""
