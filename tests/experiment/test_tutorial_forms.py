"""What is written as in Python is read as YAML would have it, or left for the checks to report."""

import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml

SMALLEST = "data: {folder: {path: a}}\nmodel: {layers: [Flatten, %r]}\n"


@pytest.mark.parametrize(
    "call",
    [
        *("Dense(units={[1]})", "Dense(units={1})", "Dense(4, use_bias=1j)", "Dense(4, name=b'x')", "Dense(...)"),
        *("Dense(4, name='\\ud800')", "Dense({'\\ud800': 1})", "Dense(4, name='\\0')"),
        *("Dense(0x1for x in y)", "Reshape([" + 1_000 * "1," + "])"),
        *("Dense(0x" + 100 * "f" + ")", "Dropout(rate=" + 4_200 * "9" + ")"),
        *("Dense(1" + 5_000 * "+1" + ")", "a" + 5_000 * ".b" + "(1)", "Dense(" + 50_000 * "-" + "1)"),
    ],
    ids=lambda call: call[:24],
)
def test_a_call_that_yaml_cannot_hold_is_refused_at_its_place(call):
    with pytest.raises(ExperimentError, match=r"e\.yaml:2:27: model\.layers\.1"):
        parse(SMALLEST % call, "e.yaml")


def test_a_call_is_what_yaml_says_of_it():
    called = parse(SMALLEST % "Dense(4, activation='relu', use_bias=False)", "e.yaml").experiment
    written = (
        "data: {folder: {path: a}}\nmodel: {layers: [Flatten, {Dense: {units: 4, activation: relu, use_bias: no}}]}\n"
    )
    assert resolved_yaml(called) == resolved_yaml(parse(written.replace("no}", "false}"), "e.yaml").experiment)


@pytest.mark.parametrize(
    "text",
    [
        f"augmentation: {{ImageDataGenerator: {{brightness_range: '({700 * ' '}'}}}}\n",
        f"compile: {{optimizer: {{Adam: {{learning_rate: '(1{100_000 * ' '}x'}}}}}}\n",
    ],
    ids=["generator", "tuple"],
)
def test_blanks_in_a_tuple_take_no_time(text):
    with pytest.raises(ExperimentError):
        parse(SMALLEST % "Flatten" + text, "e.yaml")
