"""A photo and columns of its row: two inputs, named in the network, its preprocessing, and their errors."""

import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml

DATA = "data: {image_table: {train: a.csv, label: c, features: [age]}}\n"
NETWORK = """model:
  layers:
    - Flatten: {inputs: [image], name: pixels}
    - Concatenate: {inputs: [pixels, features]}
    - Dense: {units: 4}
"""


def told(text):
    with pytest.raises(ExperimentError) as error:
        parse(text, "e.yaml")
    return str(error.value)


def test_a_network_and_preprocessing_name_the_inputs():
    experiment = parse(f"{DATA}{NETWORK}preprocessing: {{features: [Normalization], image: []}}\n", "e.yaml").experiment
    assert experiment.data.input_names == ("image", "features")
    assert [name for _, name in experiment.preprocessing_of("features")] == list(experiment.preprocessing_layers)
    assert experiment.preprocessing_of("image") == []
    assert parse(resolved_yaml(experiment), "e.yaml").experiment == experiment


def test_places_of_layers_count_through_all_inputs():
    text = "preprocessing: {image: [Rescaling: {scale: 2}], features: [Normalization, Rescaling: {scale: 3}]}\n"
    experiment = parse(f"{DATA}{NETWORK}{text}", "e.yaml").experiment
    assert [place for place, _ in experiment.preprocessing_of("features")] == [1, 2]
    assert [place for place, _ in experiment.preprocessing_of("image")] == [0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[image]",
            "[input]",
            "e.yaml:4:26: model.layers.0.Flatten.inputs.0: no layer is called 'input'; expected image",
        ),
        ("inputs: [image], ", "", "e.yaml:4:7: model.layers.0.Flatten: Flatten without inputs, of which there are"),
        ("[pixels, features]", "[pixels, pixels]", "e.yaml:3:3: model.layers: no layer takes the input 'features'"),
        ("name: pixels", "name: image", "e.yaml:4:40: model.layers.0.Flatten.name: a layer called 'image'"),
        ("features: [age]", "columns: {age: number}", "expected `features` beside `columns`, which says"),
    ],
)
def test_a_mistake_in_the_graph_is_told_at_its_place(old, new, message):
    assert message in told((DATA + NETWORK).replace(old, new))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "preprocessing: [Normalization]\n",
            "preprocessing: a list beside several inputs; expected a list for each by its name: image: […], features",
        ),
        (
            "preprocessing: {feature: [Normalization]}\n",
            "no input is called 'feature'; expected image or features; did",
        ),
        ("preprocessing: {features: [Normalisation]}\n", "preprocessing.features.0: unknown layer 'Normalisation'"),
        ("preprocessing: {features: Normalization}\n", "preprocessing"),
    ],
)
def test_a_mistake_in_preprocessing_is_told_at_its_place(text, message):
    found = told(DATA + NETWORK + text)
    assert message in found
    assert "e.yaml:7:" in found


@pytest.mark.parametrize("network", ["LeNet", "MLP: {units: [4]}"])
def test_networks_of_one_input_are_refused(network):
    found = told(f"{DATA}model: {{{network}}}\n" if ":" in network else f"{DATA}model: {network}\n")
    assert f"{network.split(':')[0]} takes one input, but the data have image and features" in found


def test_a_mapping_beside_one_input_is_refused():
    text = "data: {csv: {train: a.csv, label: c}}\nmodel: {MLP: {units: [4]}}\npreprocessing: {rows: [Normalization]}\n"
    assert "e.yaml:3:17: preprocessing.rows: no input is called 'rows'; expected a list: there is one input" in told(
        text
    )
