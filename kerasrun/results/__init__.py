"""Results of a run: evaluation, prediction, plots, tables. Run directory in, files out."""
