"""What evaluations and predictions say, whatever the labels are: scores, tables, curves and pictures."""
