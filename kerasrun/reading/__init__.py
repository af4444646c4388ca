"""How examples come from files and arrays: what all kinds of data share."""
