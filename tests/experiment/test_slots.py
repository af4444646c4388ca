"""The schema says what each place holds; everything else derives from that."""

from typing import Annotated, get_args, get_origin

import pytest

from kerasrun.components import Component, Keras, kinds
from kerasrun.experiment.schema import Experiment, Section, Sweep
from kerasrun.experiment.slots import components
from kerasrun.keras_catalogue import FAMILIES
from kerasrun.models.layers import LayerEntry
from kerasrun.text.document import Document
from kerasrun.text.problems import Text
from kerasrun.text.yaml_text import parse, split_lines

SECTIONS = [Experiment, *Section.__subclasses__()]
MODELS = [*SECTIONS, *kinds("kerasrun.sources").values(), *kinds("kerasrun.models").values()]


def families(annotation, marks=()):
    """The family of every component in an annotation; None for one that does not say it."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        return families(inner, marks)
    if annotation in (Component, LayerEntry):
        return [next((mark.family for mark in marks if isinstance(mark, Keras)), None)]
    return [family for one in get_args(annotation) for family in families(one)]


# What a sweep names is Optuna's.
@pytest.mark.parametrize("model", [one for one in MODELS if one is not Sweep], ids=lambda model: model.__name__)
def test_every_component_of_the_schema_says_its_family(model):
    for name, field in model.model_fields.items():
        assert set(families(field.annotation, field.metadata)) <= FAMILIES.keys(), name


def test_the_schema_has_components():
    fields = [field for model in MODELS for field in model.model_fields.values()]
    found = {family for field in fields for family in families(field.annotation, field.metadata)}
    assert found >= {"optimizers", "losses", "metrics", "layers", "callbacks"}


def test_every_component_of_an_experiment_is_found():
    content = """
model: {layers: [Dense, {Conv2D: {filters: 3}}], outputs: [a, b]}
preprocessing: [Rescaling]
augmentation: [RandomFlip]
compile: {optimizer: Adam, loss: {a: mse, b: mae}, metrics: {a: auc, b: [acc, {AUC: }]}}
fit: {class_weight: {a: 2}}
stages: [{epochs: 1}, {epochs: 2, optimizer: SGD}]
callbacks: [EarlyStopping]
"""
    document = Document(parse(content, Text("e.yaml", split_lines(content)), []))
    found = {".".join(map(str, path)): keras.family for path, _, keras in components(document)}
    assert found == {
        "model.layers.0": "layers",
        "model.layers.1": "layers",
        "preprocessing.0": "layers",
        "augmentation.0": "layers",
        "compile.optimizer": "optimizers",
        "compile.loss.a": "losses",
        "compile.loss.b": "losses",
        "compile.metrics.a": "metrics",
        "compile.metrics.b.0": "metrics",
        "compile.metrics.b.1": "metrics",
        "stages.1.optimizer": "optimizers",
        "callbacks.0": "callbacks",
    }
