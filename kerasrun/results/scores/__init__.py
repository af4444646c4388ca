"""What `evaluate` says of a network's outputs: one file for each kind of labels."""
