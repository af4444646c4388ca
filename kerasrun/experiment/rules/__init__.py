"""What no single value can tell: one file for each subject, with one function `check`."""
