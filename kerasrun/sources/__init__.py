"""Where examples come from: one file per kind of data, with its YAML fields and `open()`. Light to import."""
