"""Networks: one file per kind, with its YAML fields and `build()`. Light to import; Keras is imported in `build()`."""
