"""The results of evaluations and predictions, whatever the labels are: scores, tables, curves and pictures."""
