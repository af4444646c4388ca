"""What MixUp and CutMix cannot mix is told where it stands, by the text alone or with the data."""

import pytest

from kerasrun.errors import DataError, ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.rules.base import Facts, check_with_data

MIXED = "data: {folder: {path: x}}\naugmentation: [RandomFlip, MixUp]\nmodel: Small\n"
PHOTOS = Facts("classes", ("cat", "dog"), example_shape=(8, 8, 3))


def check(facts, text=MIXED):
    loaded = parse(text, "e.yaml")
    check_with_data(loaded.experiment, facts, loaded.document)


def told(text):
    with pytest.raises(ExperimentError) as error:
        parse(text, "e.yaml")
    return str(error.value).splitlines()[0]


def test_images_of_classes_and_of_labels_are_mixed():
    check(PHOTOS)
    check(Facts("multi_label", ("cat", "dog"), example_shape=(8, 8, 1)))


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (Facts("numbers", ("age",), example_shape=(8, 8, 3)), "labels that are numbers are no shares of classes"),
        (Facts("masks", ("a", "b"), example_shape=(8, 8, 3)), "labels that are masks are no shares"),
        (Facts("arrays", example_shape=(8, 8, 3)), "labels that are arrays are no shares"),
        (Facts("classes", example_shape=(4,)), "Keras mixes images, and the examples are none"),
        (Facts("classes", example_shape=(8, 8, 8, 1)), "Keras mixes images, and the examples are none"),
        (Facts("classes", example_shape=(8, 8, 3), weighted=True), "weights of their own"),
    ],
)
def test_other_examples_and_labels_are_refused(facts, reason):
    start = r"^e\.yaml:2:28: augmentation\.1: received MixUp; expected layers that change each example by itself: .*"
    with pytest.raises(DataError, match=start + reason):
        check(facts)
    check(facts, MIXED.replace(", MixUp", ""))


def test_an_image_with_a_row_is_refused():
    with pytest.raises(DataError, match=r"augmentation\.1: received MixUp; .*: only the image of an example"):
        check(Facts("classes", example_shape=(8, 8, 3), inputs=("image", "features")))


def test_labels_of_several_outputs_are_refused():
    model = "{layers: [Flatten, Dense: {units: 1, name: a}, Dense: {units: 1, name: b}], outputs: [a, b]}"
    text = MIXED.replace("Small", model) + "compile: {loss: mse}\n"
    assert "augmentation.1: received MixUp; expected layers that change each example by itself: the labels are" in told(
        text
    )


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "hinge", "{CategoricalHinge: {}}", "Circle"])
def test_a_loss_of_whole_classes_is_refused(loss):
    line = told(f"{MIXED}compile: {{loss: {loss}}}")
    assert line.startswith("e.yaml:4:17: compile.loss: received ")
    assert "expected categorical_crossentropy, or binary_crossentropy: mixed examples have shares of classes" in line
    parse(f"{MIXED.replace(', MixUp', '')}compile: {{loss: {loss}}}", "e.yaml")


def test_a_loss_of_shares_may_smooth_them():
    parse(f"{MIXED}compile: {{loss: {{CategoricalCrossentropy: {{label_smoothing: 0.1}}}}}}", "e.yaml")


HALVES = "at least 0.05, since below it Keras draws halves"


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        ("MixUp: {alpha: 0}", f"MixUp.alpha: received 0; expected a number of {HALVES}"),
        ("MixUp: {alpha: .inf}", f"MixUp.alpha: received inf; expected a number of {HALVES}"),
        ("MixUp: {alpha: [0.2, 0.3]}", "MixUp.alpha: received a list; expected a number"),
        ("MixUp: {alpha: null}", "MixUp.alpha: received nothing; expected a number"),
        ("MixUp: {alpha: much}", "MixUp.alpha: received the text 'much'; expected a number"),
        ("MixUp: {factor: 0.3}", "MixUp.factor: received a factor; expected 'alpha'"),
        ("CutMix: {factor: 0}", f"CutMix.factor: received 0; expected {HALVES}"),
        ("CutMix: {factor: [0, 0.01]}", f"CutMix.factor: received a list; expected {HALVES}"),
        ("CutMix: {factor: 1.5}", "CutMix.factor: received 1.5; expected a share from 0 to 1"),
        ("CutMix: {factor: [-0.5, 1]}", "CutMix.factor.0: received -0.5; expected a share from 0 to 1"),
        ("CutMix: {alpha: 0.3}", "unknown argument 'alpha' of CutMix"),
    ],
)
def test_an_argument_without_a_meaning_is_refused(layer, problem):
    assert problem in told(MIXED.replace("MixUp", layer))


@pytest.mark.parametrize("factor", ["true", "{a: 1}", "[]", "[0.2]", "[0.1, null]", "[[0.1], 0.5]", "[0.1, true]"])
def test_a_factor_that_is_neither_one_number_nor_two_is_one_mistake(factor):
    with pytest.raises(ExperimentError) as error:
        parse(MIXED.replace("MixUp", f"CutMix: {{factor: {factor}}}"), "e.yaml")
    (sentence,) = error.value.sentences
    assert "CutMix.factor: received " in sentence
    assert "expected a number, or two in brackets" in sentence


@pytest.mark.parametrize("layer", ["MixUp: {alpha: 1, seed: 3}", "CutMix", "CutMix: {factor: [0, 1]}", "MixUp"])
def test_arguments_of_keras_pass(layer):
    check(PHOTOS, MIXED.replace("MixUp", layer))


@pytest.mark.parametrize("section", ["preprocessing: [MixUp]", "model: {layers: [CutMix]}"])
def test_a_network_mixes_nothing(section):
    text = f"data: {{folder: {{path: x}}}}\n{section}\n" + ("" if "model" in section else "model: Small\n")
    assert "is refused: a network has no labels, which it mixes as well; 'augmentation' takes it" in told(text)
