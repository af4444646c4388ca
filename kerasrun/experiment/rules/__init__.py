"""Rules that no single value can break: a file for each subject, with one function `check`."""
