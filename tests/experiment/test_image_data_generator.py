"""The arguments of ImageDataGenerator as a tutorial writes them, and the mistakes in them."""

import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.image_data_generator import NETWORKS, NOT_TAKEN, ImageDataGenerator
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml

SMALLEST = "data: {folder: {path: x}}\nmodel: Small\n"


def read(arguments, *settings):
    text = f"{SMALLEST}augmentation:\n  ImageDataGenerator:\n" + "".join(f"    {line}\n" for line in arguments)
    return parse(text, "e.yaml", settings).experiment


def told(augmentation):
    with pytest.raises(ExperimentError) as error:
        parse(f"{SMALLEST}augmentation: {augmentation}\n", "e.yaml")
    return str(error.value)


def test_the_lines_of_a_tutorial_are_read_as_they_stand():
    experiment = read(
        [
            "rescale: 1./255",
            "rotation_range: 40",
            "width_shift_range: 0.2",
            "height_shift_range: [-3, 5]",
            "brightness_range: (0.5, 1.5)",
            "zoom_range: [0.8, 1.2]",
            "horizontal_flip: True",
            "fill_mode: 'nearest'",
        ]
    )
    assert experiment.augmentation == ImageDataGenerator(
        rescale=1 / 255,
        rotation_range=40,
        width_shift_range=0.2,
        height_shift_range=(-3, 5),
        brightness_range=(0.5, 1.5),
        zoom_range=(0.8, 1.2),
        horizontal_flip=True,
    )
    assert parse(resolved_yaml(experiment), "resolved.yaml").experiment == experiment


def test_a_whole_number_of_pixels_stays_one():
    assert type(read(["width_shift_range: 3"]).augmentation.width_shift_range) is int
    assert type(read(["width_shift_range: 3.0"]).augmentation.width_shift_range) is float


def test_what_only_standardizes_does_not_augment():
    assert not read(["rescale: 1./255", "samplewise_center: true", "fill_mode: wrap"]).augmentation.augments


@pytest.mark.parametrize(
    "line",
    [
        *("rotation_range: 1", "width_shift_range: 1", "height_shift_range: [2]", "shear_range: 1", "zoom_range: 0.1"),
        *("brightness_range: [1, 2]", "channel_shift_range: 1", "horizontal_flip: true", "vertical_flip: true"),
    ],
)
def test_what_changes_images_augments(line):
    assert read([line]).augmentation.augments


def test_its_arguments_are_those_of_the_original():
    import ast
    import importlib.util
    from pathlib import Path

    keras = Path(importlib.util.find_spec("keras").origin).parent
    tree = ast.parse((keras / "src/legacy/preprocessing/image.py").read_text(encoding="utf-8"))
    original = next(node for node in tree.body if getattr(node, "name", "") == "ImageDataGenerator").body[1]
    arguments = {argument.arg for argument in original.args.args} - {"self"}
    assert arguments == {*ImageDataGenerator.model_fields, *NOT_TAKEN}


def test_its_networks_are_those_of_keras():
    import importlib.util
    from pathlib import Path

    folder = Path(importlib.util.find_spec("keras").origin).parent / "applications"
    modules = [path.parent.name for path in folder.glob("*/__init__.py")]
    having = [name for name in modules if "preprocess_input" in (folder / name / "__init__.py").read_text()]
    assert sorted(having) == sorted({*NETWORKS, "imagenet_utils"})


def test_the_command_line_changes_an_argument():
    experiment = read(["rotation_range: 5"], "augmentation.ImageDataGenerator.rotation_range=9")
    assert experiment.augmentation.rotation_range == 9


@pytest.mark.parametrize(
    ("augmentation", "words"),
    [
        ("{ImageDataGenerator: {rotation_rage: 3}}", "did you mean 'rotation_range'?"),
        ("{ImageDataGenerator: {brightness_range: 0.2}}", "received 0.2; expected a list: [value, value]"),
        ("{ImageDataGenerator: {brightness_range: [1, 2, 3]}}", "expected at most 2 values"),
        ("{ImageDataGenerator: {zoom_range: 1.5}}", "expected a number below 1.0 or a list"),
        ("{ImageDataGenerator: {zoom_range: '(a, b)'}}", "expected a list of numbers"),
        ("{ImageDataGenerator: {fill_mode: neares}}", "did you mean 'nearest'?"),
        ("{ImageDataGenerator: {rescale: 1/0}}", "a quotient of two such as 1./255"),
        ("{ImageDataGenerator: {shear_range: 1./2}}", "received '1./2'; expected a number of at least 0"),
        ("{ImageDataGenerator: {horizontal_flip: 0.5}}", "expected true or false"),
        ("{ImageDataGenerator: {cval: true}}", "expected a number"),
        ("{ImageDataGenerator: {validation_split: 0.2}}", "expected it in the section 'fit'"),
        ("{ImageDataGenerator: {preprocessing_function: clean}}", "a function of one's own needs Python"),
        (
            "{ImageDataGenerator: {preprocessing_function: vgg16, featurewise_center: true}}",
            "expected preprocessing_function without featurewise_center",
        ),
        (
            "{ImageDataGenerator: {brightness_range: [0, 1], fill_mode: constant, cval: -1}}",
            "expected a cval of 0 to 255",
        ),
        ("{ImageDataGenerator: {rescale: 0.1}}\npreprocessing: [{Rescaling: {scale: 0.1}}]", "both make the network's"),
        ("{ImageDataGenerator: 3}", "expected its arguments"),
        ("[ImageDataGenerator]", "it stands alone, without a dash"),
        ("{ImageDataGenerater: {}}", "did you mean 'ImageDataGenerator'?"),
        ("{RandomFlip: {mode: horizontal}}", "expected a list of layers"),
    ],
)
def test_a_mistake_is_told_with_the_remedy(augmentation, words):
    assert words in told(augmentation)


def test_preprocessing_beside_arguments_that_are_random_alone_is_no_contradiction():
    parse(
        f"{SMALLEST}augmentation: {{ImageDataGenerator: {{rotation_range: 3, samplewise_center: false}}}}\n"
        "preprocessing: [{Rescaling: {scale: 0.1}}]\n",
        "e.yaml",
    )


def test_what_a_tutorial_writes_out_although_it_is_the_default_changes_nothing():
    defaults = [
        *("brightness_range: None", "preprocessing_function: None", "data_format: None", "dtype: None", "rescale: 0"),
        *("validation_split: 0.0", "interpolation_order: 1"),
    ]
    assert read(defaults).augmentation == ImageDataGenerator()
    assert read(["data_format: channels_last", "dtype: float32", "rescale: None"]).augmentation == ImageDataGenerator()


def test_the_comma_of_a_copied_line_is_told():
    assert "received '0.2,'; expected a number of at least 0, without the comma" in told(
        "{ImageDataGenerator: {shear_range: '0.2,'}}"
    )
    block = "\n  ImageDataGenerator:\n    fill_mode: 'nearest',\n    shear_range: 1"
    assert "a comma after a value; expected the end of the line" in told(block)
