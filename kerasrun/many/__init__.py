"""Several runs that belong together: `kerasrun repeat` and `kerasrun sweep`."""
