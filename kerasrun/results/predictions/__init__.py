"""What `predict` says of an example: one file for each kind of labels."""
