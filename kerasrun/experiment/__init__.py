"""YAML text → a frozen `Experiment`, or every problem at once. Never imports TensorFlow."""
