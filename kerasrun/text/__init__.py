"""An experiment as it was written: YAML with its places, and the problems that are found in it."""
