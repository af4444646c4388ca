"""A weight for a class that there is not is told where it stands."""

import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.class_weight import check_class_weight
from kerasrun.experiment.load import parse

WEIGHTS = "data: {folder: {path: x}}\nmodel: Small\nfit: {class_weight: {cat: 2, dgo: 0.5}}\n"
LISTED = WEIGHTS.replace("path: x", "path: x, classes: [cat, dog]")


def test_the_text_tells_where_it_lists_the_classes():
    with pytest.raises(ExperimentError) as error:
        parse(LISTED, "e.yaml")
    assert str(error.value).splitlines()[0] == (
        "e.yaml:3:30: fit.class_weight.dgo: unknown class 'dgo'; expected cat or dog; did you mean 'dog'?"
    )


def test_else_the_data_tell():
    document = parse(WEIGHTS, "e.yaml").document
    with pytest.raises(ExperimentError, match=r"^e\.yaml:3:30: .*unknown class 'dgo'.* did you mean 'dog'"):
        check_class_weight(document, ("cat", "dog"))
    check_class_weight(document, ("cat", "dgo"))


def test_many_classes_are_counted_not_listed():
    document = parse(WEIGHTS, "e.yaml").document
    with pytest.raises(ExperimentError, match="expected one of the 1000 classes of the data"):
        check_class_weight(document, ["cat", *(f"n{number}" for number in range(999))])


@pytest.mark.parametrize("weights", ["balanced", "null", "{cat: 1, dog: 2}", "{dog: 2}"])
def test_what_names_classes_rightly_passes(weights):
    text = LISTED.replace("{cat: 2, dgo: 0.5}", weights)
    check_class_weight(parse(text, "e.yaml").document, ("cat", "dog"))
