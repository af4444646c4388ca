"""What is known of Keras's losses by their names."""

BINARY = ("BinaryCrossentropy", "BinaryFocalCrossentropy")
SPARSE = ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy", "Circle")
CATEGORICAL = ("CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge", *SPARSE)
# Losses on a score that is no probability: the last layer stays linear.
LINEAR = ("Hinge", "SquaredHinge", "CategoricalHinge")
