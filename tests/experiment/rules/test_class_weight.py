"""A weight for a class that there is not is told where it stands."""

import pytest

from kerasrun.errors import DataError, ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.rules.base import Facts, check_with_data

WEIGHTS = "data: {folder: {path: x}}\nmodel: Small\nfit: {class_weight: {cat: 2, dgo: 0.5}}\n"
LISTED = WEIGHTS.replace("path: x", "path: x, classes: [cat, dog]")


def check(text, classes, label_kind="classes"):
    loaded = parse(text, "e.yaml")
    check_with_data(loaded.experiment, Facts(label_kind, classes), loaded.document)


def test_the_text_tells_where_it_lists_the_classes():
    with pytest.raises(ExperimentError) as error:
        parse(LISTED, "e.yaml")
    assert str(error.value).splitlines()[0] == (
        "e.yaml:3:30: fit.class_weight.dgo: unknown class 'dgo'; expected cat or dog; did you mean 'dog'?"
    )


def test_else_the_data_tell():
    with pytest.raises(DataError, match=r"^e\.yaml:3:30: .*unknown class 'dgo'.* did you mean 'dog'"):
        check(WEIGHTS, ("cat", "dog"))
    check(WEIGHTS, ("cat", "dgo"))


def test_many_classes_are_counted_not_listed():
    with pytest.raises(DataError, match="expected one of the 1000 classes of the data"):
        check(WEIGHTS, ["cat", *(f"n{number}" for number in range(999))])


@pytest.mark.parametrize("weights", ["balanced", "null", "{cat: 1, dog: 2}", "{dog: 2}"])
def test_what_names_classes_rightly_passes(weights):
    text = LISTED.replace("{cat: 2, dgo: 0.5}", weights)
    check(text, ("cat", "dog"))


def test_labels_without_a_class_take_no_weights():
    with pytest.raises(DataError, match=r"3:21: fit\.class_weight: .*labels that are numbers give no example a single"):
        check(WEIGHTS, ("price",), "numbers")
