"""Stopping before the end, with everything saved: signals and the time limit."""
