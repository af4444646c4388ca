"""Networks that end in one row of numbers, held against labels that need an output for each pixel or step."""

from kerasrun.experiment.rules.base import Facts
from kerasrun.experiment.schema import Experiment
from kerasrun.experiment.slots import layer_paths
from kerasrun.keras_catalogue import canonical, identifiers
from kerasrun.models.layers import LayerEntry
from kerasrun.tasks.base import task_named
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem

_RECURRENT = ("GRU", "LSTM", "SimpleRNN")
_KEEP_ROWS = {
    *("Activation", "Dense", "Dropout", "ELU", "GaussianDropout", "GaussianNoise", "LeakyReLU", "PReLU", "ReLU"),
    *("ActivityRegularization", "AlphaDropout", "BatchNormalization", "LayerNormalization", "Rescaling", "Softmax"),
}
"""Layers behind which a row stays one; `Reshape` and `RepeatVector` are none of them."""


def check(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Report the layer that makes a row of an image or a sequence, where nothing behind it makes more of it again."""
    entries = () if experiment is None else getattr(experiment.model, "layers", ())
    shape, kind = facts.example_shape, facts.label_kind
    if shape is None or len(shape) < 2 or kind is None or not task_named(kind).per_pixel:
        return []
    made: int | None = None
    for number, entry in enumerate(entries):
        name = entry.component.name
        if entry.inputs or name not in identifiers("layers"):
            return []
        if _makes_a_row(canonical("layers", name), entry):
            made = number
        elif canonical("layers", name) not in _KEEP_ROWS:
            made = None
    if made is None:
        return []
    name, place = entries[made].component.name, "pixel" if len(shape) == 3 else "step"
    again = "a Reshape behind it" if place == "pixel" else "return_sequences: true, or a RepeatVector behind it"
    expected = f"expected an output for each {place}, as the labels are: leave it out, or put {again}"
    return [
        places.problem(layer_paths(places, "model")[made], f"{name} makes one row of numbers of an example", expected)
    ]


def _makes_a_row(name: str, entry: LayerEntry) -> bool:
    is_last_step = name in _RECURRENT and not entry.component.arguments.get("return_sequences")
    return name == "Flatten" or name.startswith("Global") or is_last_step
