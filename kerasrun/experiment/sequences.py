"""Whether arrays are sequences or images, by the first layer of a network that takes only one of both."""

from typing import Literal

from kerasrun.experiment.schema import Experiment
from kerasrun.keras_catalogue import canonical, identifiers

_RECURRENT = ("Bidirectional", "GRU", "LSTM", "RNN", "SimpleRNN")
_TAKE_EITHER = {
    *("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax", "Dense", "Identity", "Masking", "Rescaling"),
    *("BatchNormalization", "GroupNormalization", "LayerNormalization", "Normalization", "RMSNormalization"),
    *("UnitNormalization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
    *("AdditiveAttention", "Attention", "GroupQueryAttention", "MultiHeadAttention"),
    *("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"),
}

Taken = tuple[str, Literal["images", "sequences"], tuple[str, int]]
"""A layer, what it takes, and its section and place there."""


def decided(experiment: Experiment) -> Experiment:
    """Return the experiment with arrays as sequences where its network takes nothing else and it does not say."""
    data, taken = experiment.data, first_taken(experiment)
    if not data.may_be_sequences or taken is None or taken[1] != "sequences":
        return experiment
    return experiment.model_copy(update={"data": data.model_copy(update={"examples": "sequences"})})


def first_taken(experiment: Experiment) -> Taken | None:
    """Return the first layer that takes only sequences, or only images; None if another one changes the shape first.

    No network that takes images is taken for one of sequences: these layers refuse a fourth dimension, but for
    `Embedding`, which computes the same with and without one.
    """
    if len(experiment.data.input_names) > 1:
        return None
    sections = {
        "preprocessing": experiment.preprocessing_layers,
        "model": [entry.component for entry in getattr(experiment.model, "layers", ())],
    }
    for section, components in sections.items():
        for number, component in enumerate(components):
            if component.name not in identifiers("layers"):
                return None
            name = canonical("layers", component.name)
            if name == "Embedding" or name in _RECURRENT or (name.endswith("1D") and name != "ConvLSTM1D"):
                return name, "sequences", (section, number)
            if name.endswith("2D"):
                return name, "images", (section, number)
            if name not in _TAKE_EITHER:
                return None
    return None
