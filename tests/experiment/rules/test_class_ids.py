"""The class that the Dice coefficient measures is one of the data's."""

import pytest

from kerasrun.errors import DataError, ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.rules.base import Facts, check_with_data
from kerasrun.experiment.rules.class_ids import with_numbers

CLASSES = ("sky", "road", "car")


def loaded(section):
    return parse(f"data: {{folder: {{path: x}}}}\nmodel: Small\ncompile: {{{section}}}", "e.yaml")


def check(found):
    check_with_data(found.experiment, Facts("classes", CLASSES), found.document)


@pytest.mark.parametrize("class_id", ["road", "1"])
def test_a_class_is_known_by_name_and_by_number(class_id):
    found = loaded(f"loss: {{dice_loss: {{class_id: {class_id}}}}}, metrics: [{{DiceCoef: {{class_id: {class_id}}}}}]")
    check(found)
    section = with_numbers(found.experiment.compile, CLASSES)
    assert section.loss.arguments == {"class_id": 1}
    assert section.metrics[0].arguments == {"class_id": 1}


@pytest.mark.parametrize(
    ("class_id", "told"),
    [
        ("raod", "received 'raod'; expected sky, road or car, or a number from 0 to 2; did you mean 'road'?"),
        ("3", "e.yaml:3:43: compile.metrics.0.DiceCoef.class_id: received 3; expected sky, road or car, or a number"),
        ("true", "received true; expected"),
    ],
)
def test_a_class_that_the_data_lack_is_told(class_id, told):
    with pytest.raises(DataError) as error:
        check(loaded(f"metrics: [{{DiceCoef: {{class_id: {class_id}}}}}]"))
    assert told in str(error.value)


def test_the_text_tells_where_it_lists_the_classes():
    data = "data: {folder: {path: x, classes: [sky, road]}}\n"
    with pytest.raises(ExperimentError, match="received 'car'; expected sky or road, or a number from 0 to 1"):
        parse(f"{data}model: Small\ncompile: {{metrics: [{{DiceCoef: {{class_id: car}}}}]}}", "e.yaml")


def test_what_keras_means_by_class_id_is_left_alone():
    found = loaded("metrics: [{Precision: {class_id: 17}}]")
    check(found)
    assert with_numbers(found.experiment.compile, CLASSES) == found.experiment.compile
