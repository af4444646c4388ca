"""Train Keras models from a YAML file, resume them exactly, evaluate them, and predict."""
