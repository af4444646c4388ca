"""What labels are: one file for each task, which has everything that follows from its labels."""
