"""What is read from a run: evaluation, prediction, plots, tables. Run directory in, files out."""
