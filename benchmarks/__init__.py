"""Measurements of kerasrun beside the scripts that it replaces; `python -m benchmarks.startup` and so on."""
