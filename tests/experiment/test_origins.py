import pytest

from kerasrun.experiment.load import load, parse
from kerasrun.experiment.origins import with_origins
from kerasrun.text.yaml_text import split_lines

SMALLEST = "data: {folder: {path: x}}\nmodel: Small\n"


def origins(loaded):
    """Return what stands behind each key, where it is first."""
    found = {}
    for line in with_origins(loaded).splitlines():
        value, _, comment = line.partition("  # ")
        found.setdefault(value.strip().removeprefix("- ").partition(":")[0], comment)
    return found


def test_each_value_has_its_file_the_command_line_the_environment_or_a_default_behind_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BATCH", "16")
    (tmp_path / "a.yaml").write_text(SMALLEST + "seed: 3\nfit: {validation_freq: [1, 2], validation_split: 0.1}\n")
    (tmp_path / "e.yaml").write_text(
        "base: a.yaml\nfit:\n  batch_size: ${BATCH}\n  steps_per_epoch: ${NONE_OF_IT:-9}\n  validation_split: null\n"
        "compile: {optimizer: Adam, metrics: [mse]}\n"
    )
    found = origins(load("e.yaml", ["fit.epochs=3", "fit.validation_freq.1=3", "compile.optimizer.Adam.beta_1=.5"]))
    assert found["seed"] == "a.yaml:3"
    assert found["path"] == "a.yaml:1"
    assert found["batch_size"] == "${BATCH} in e.yaml:3"
    assert found["steps_per_epoch"] == "e.yaml:4"
    assert found["epochs"] == "--set fit.epochs=3"
    assert found["validation_freq"] == "a.yaml:4, --set fit.validation_freq.1=3"
    assert found["validation_split"] == found["loss"] == found["units"] == "default"
    assert found["beta_1"] == "--set compile.optimizer.Adam.beta_1=.5"
    assert found["metrics"] == "e.yaml:6"


@pytest.mark.parametrize(
    "section",
    [
        "callbacks: [{CSVLogger: {filename: 'a # b'}}]\n",
        "callbacks: [TerminateOnNaN, {EarlyStopping: {monitor: loss, verbose: 1}}, {CSVLogger: {filename: 'a'}}]\n",
        f"callbacks: [{{CSVLogger: {{filename: '{'long words ' * 40}'}}}}]\n",
        'callbacks: [{CSVLogger: {filename: "a\\n\\nb", separator: "\\u2028 #"}}]\n',
        f"compile: {{metrics: [{', '.join(['accuracy'] * 40)}]}}\n",
        "model: {layers: [{Dropout: 0.5}, 'Dense(3)']}\n",
    ],
)
def test_what_is_printed_so_is_the_same_experiment(section):
    loaded = parse((SMALLEST.replace("model: Small\n", "") if "model" in section else SMALLEST) + section, "/e.yaml")
    text = with_origins(loaded)
    assert parse(text, "/e.yaml").experiment == loaded.experiment
    assert sum("  # " in line for line in split_lines(text)) > 30


def test_a_setting_that_would_end_the_comment_does_not(tmp_path):
    loaded = parse(SMALLEST, "/e.yaml", ["callbacks=\n- TerminateOnNaN\n- TensorBoard\n"])
    assert parse(with_origins(loaded), "/e.yaml").experiment == loaded.experiment
