"""A new run that begins with another run's weights."""

import hashlib
import logging
import shutil

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import kerasrun
from kerasrun.errors import CheckpointError, KerasrunError, ModelError, ModelFileError
from tests.training.exactness import variables_digest, write_experiment

pytestmark = pytest.mark.tensorflow

NETWORK = """
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 5, strides: 3, use_bias: false}
    - BatchNormalization
    - Flatten
    - Dense: {units: 6}
    - Dropout: {rate: 0.4}
"""
# The learning rate stays as it is, so the first epoch is the best one.
SOURCE = f"""
data: {{npz: {{path: digits.npz}}}}
{NETWORK}
compile: {{optimizer: {{SGD: {{learning_rate: 0.01, momentum: 0.9}}}}}}
fit: {{epochs: 3, batch_size: 32, validation_data: test}}
checkpoint: {{monitor: learning_rate, mode: max, seconds_between: 0}}
"""
STILL = SOURCE.replace("learning_rate: 0.01, momentum: 0.9", "learning_rate: 0.0").replace("epochs: 3", "epochs: 1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("branching")
    write_experiment(folder)  # for its digits.npz
    return folder


@pytest.fixture(scope="module")
def source(folder):
    """Three epochs, of which the checkpoints of the last two are kept."""
    (folder / "source.yaml").write_text(SOURCE, encoding="utf-8")
    run = kerasrun.train(folder / "source.yaml", output=folder / "runs")
    assert run.read_run()["best"]["epoch"] == 1
    return run


@pytest.fixture
def branch(folder):
    """Train an experiment from a run's weights; `name` keeps the tests' runs apart."""

    def run(source, weights, text=STILL, *overrides):
        (folder / "branch.yaml").write_text(text, encoding="utf-8")
        chosen = kerasrun.Branch(source, weights)
        return kerasrun.train(folder / "branch.yaml", overrides=overrides, output=folder / "runs", branch=chosen)

    return run


def first_checkpoint(run):
    """The network's weights in the checkpoint before the first step, in order."""
    return weights_in(run.checkpoints / "00000000" / "state.h5")


def weights_in(state_file):
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and name.startswith("model/") and not name.endswith("seed_generator_state"):
            found[name.split("/", 2)[2]] = item[()]

    with h5py.File(state_file) as file:
        file.visititems(visit)
    return found


def weights_of(model_file):
    import keras

    return [np.array(weight) for weight in keras.models.load_model(model_file, compile=False).get_weights()]


@pytest.mark.long
@pytest.mark.parametrize("which", ["best", "last"])
def test_a_branch_begins_with_the_weights_of_the_model_and_loads_no_others(source, branch, monkeypatch, which):
    from kerasrun.models.layers import Layers

    def load_pretrained(self, model, inputs):
        raise AssertionError("the branch needs no pretrained weights")

    monkeypatch.setattr(Layers, "load_pretrained", load_pretrained)
    file = source.best_model if which == "best" else source.last_model
    run = branch(source, which)
    began = list(first_checkpoint(run).values())
    assert len(began) == 9
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(began, weights_of(file), strict=True))
    said = run.read_run()["from"]
    assert said == {
        "run": str(source.root),
        "weights": file.name,
        "epoch": source.read_run()["best"]["epoch"] if which == "best" else 3,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def test_a_branch_begins_with_the_weights_of_a_checkpoint(source, folder):
    from kerasrun.cli import app

    (folder / "branch.yaml").write_text(STILL, encoding="utf-8")
    which = ["--from", source.name, "--epoch", "2"]
    done = CliRunner().invoke(app, ["train", str(folder / "branch.yaml"), *which, "-o", str(folder / "runs")])
    assert done.exit_code == 0, done.output
    run = kerasrun.open_run(done.stdout.strip())
    checkpoint = min(source.checkpoints.iterdir())
    began, saved = first_checkpoint(run), weights_in(checkpoint / "state.h5")
    assert began.keys() == saved.keys()
    assert len(began) == 9
    assert all(np.array_equal(began[name], saved[name]) for name in began)
    said = run.read_run()["from"]
    assert (said["weights"], said["epoch"]) == (f"checkpoint {checkpoint.name}", 2)
    assert said["sha256"] == hashlib.sha256((checkpoint / "state.h5").read_bytes()).hexdigest()


@pytest.mark.long
def test_the_layers_in_a_wrapper_are_found_in_both_kinds_of_file(branch, folder):
    text = STILL.replace("Flatten", "Reshape: {target_shape: [4, 100]}").replace(
        "Dense: {units: 6}", "Bidirectional: {layer: {SimpleRNN: {units: 3, dropout: 0.1}}}"
    )
    (folder / "wrapper.yaml").write_text(text, encoding="utf-8")
    wrapped = kerasrun.train(folder / "wrapper.yaml", output=folder / "runs")
    saved = list(weights_in(max(wrapped.checkpoints.iterdir()) / "state.h5").values())
    for weights in ("best", 1):
        began = list(first_checkpoint(branch(wrapped, weights, text)).values())
        assert began
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(began, saved, strict=True))


@pytest.mark.long
def test_without_learning_the_first_validation_is_the_evaluation_of_the_source(source, branch):
    """Batch normalization moves its statistics at a learning rate of 0 too, so it is frozen."""
    run = branch(source, "best", STILL.replace("- BatchNormalization", "- BatchNormalization: {trainable: false}"))
    measured = kerasrun.evaluate(source, split="test").metrics
    header, row = (line.split(",") for line in run.metrics_file.read_text().splitlines())
    logs = dict(zip(header, map(float, row), strict=True))
    assert logs["val_loss"] == measured["loss"]
    assert logs["val_accuracy"] == measured["accuracy"]


@pytest.mark.long
def test_optimizer_random_state_and_epochs_begin_anew(source, branch, folder):
    begun = branch(source, "best", SOURCE.replace("epochs: 3", "epochs: 1"))
    fresh = kerasrun.train(folder / "branch.yaml", output=folder / "runs")
    with (
        h5py.File(begun.checkpoints / "00000000" / "state.h5") as ours,
        h5py.File(fresh.checkpoints / "00000000" / "state.h5") as theirs,
    ):
        same, compared = {}, []
        ours.visititems(lambda name, item: same.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        for name, item in same.items():
            if not name.startswith("model/") or name.endswith("seed_generator_state"):
                compared.append(name)
                assert np.array_equal(item[()], theirs[name][()]), name
    assert any(name.startswith("optimizer/") for name in compared)
    assert any(name.endswith("seed_generator_state") for name in compared)


@pytest.mark.long
def test_a_branch_resumes_to_the_same_bits_without_its_source(source, branch, folder, monkeypatch):
    from kerasrun.training.loop import TrainingLoop

    text = SOURCE.replace("epochs: 3", "epochs: 2")
    whole = branch(source, "best", text)
    copied = folder / "copy"
    shutil.copytree(source.root, copied)
    chunk = TrainingLoop._chunk

    def stopped(self, iterator):
        chunk(self, iterator)
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingLoop, "_chunk", stopped)
    with pytest.raises(KeyboardInterrupt):
        branch(copied, "best", text)
    monkeypatch.undo()
    shutil.rmtree(copied)
    run = kerasrun.resume(kerasrun.open_run(folder / "runs" / "latest"))
    assert run.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    assert variables_digest(run.last_model) == variables_digest(whole.last_model)


WIDER = ("kernel_size: 5", "kernel_size: 3")


@pytest.mark.parametrize(
    ("weights", "change", "layer", "here", "there"),
    [
        ("best", WIDER, "conv2d", "conv2d/kernel of shape (3, 3, 1, 4)", "conv2d/kernel of shape (5, 5, 1, 4)"),
        (3, WIDER, "conv2d", "conv2d/kernel of shape (3, 3, 1, 4)", "conv2d/kernel of shape (5, 5, 1, 4)"),
        ("best", ("    - Dropout", "    - Dense\n    - Dropout"), "dense_1", "dense_1/kernel of", "output/kernel of"),
        ("best", ("    - BatchNormalization\n", ""), "dense", "dense/kernel of", "batch_normalization/gamma of"),
    ],
)
def test_another_networks_weights_are_refused_before_there_is_a_run(
    source, branch, folder, weights, change, layer, here, there
):
    before = sorted(path.name for path in (folder / "runs").iterdir())
    with pytest.raises(ModelError) as error:
        branch(source, weights, STILL.replace(*change).replace("- Dense\n", "- Dense: {units: 6}\n"))
    ours, theirs = str(error.value).split(", there ")
    assert f"the first layer that differs is {layer}: {here}" in ours
    assert theirs.startswith(there)
    assert sorted(path.name for path in (folder / "runs").iterdir()) == before


def test_another_number_of_classes_differs_in_the_last_layer(source, branch, folder):
    with np.load(folder / "digits.npz") as archive:
        arrays = {name: archive[name] for name in archive}
    kept = {split: arrays[f"y_{split}"] < 3 for split in ("train", "test")}
    np.savez(folder / "three.npz", **{name: array[kept[name[2:]]] for name, array in arrays.items()})
    with pytest.raises(ModelError, match=r"differs is output: output/kernel of shape \(6, 3\), there .*\(6, 10\)"):
        branch(source, "best", STILL.replace("digits.npz", "three.npz"))


def test_an_epoch_whose_checkpoint_is_gone_lists_those_that_are_there(source, branch):
    with pytest.raises(CheckpointError, match=r"no checkpoint at the end of epoch 1; there is one of: 2, 3 "):
        branch(source, 1)


def test_damaged_files_are_named(source, branch, folder):
    shutil.copytree(source.root, folder / "damaged")
    damaged = kerasrun.open_run(folder / "damaged")
    for path in (damaged.best_model, *damaged.checkpoints.glob("*/state.h5")):
        path.write_bytes(path.read_bytes()[:-100])
    damaged.last_model.unlink()
    with pytest.raises(ModelFileError, match=r"best\.keras"):
        branch(damaged, "best")
    with pytest.raises(ModelFileError, match=r"last\.keras is not there: training is not finished"):
        branch(damaged, "last")
    with pytest.raises(CheckpointError, match=r"none of any epoch(.|\n)*state\.h5 has \d+ bytes, expected"):
        branch(damaged, 3)
    with pytest.raises(KerasrunError, match="no run"):
        branch(folder / "none", "best")


@pytest.mark.long
@pytest.mark.parametrize("weights", ["best", 3])
def test_other_classes_of_the_same_number_are_told_also_where_run_json_is_lost(source, branch, folder, caplog, weights):
    copied = shutil.copytree(source.root, folder / f"without-run-json-{weights}")
    (copied / "run.json").unlink()
    names = ", ".join(f"digit {number}" for number in range(10))
    with caplog.at_level(logging.WARNING, "kerasrun"):
        branch(copied, weights, STILL.replace("path: digits.npz", f"path: digits.npz, classes: [{names}]"))
    assert "the classes are not those of" in caplog.text


def test_a_dry_run_takes_the_weights_too(source, folder):
    (folder / "dry.yaml").write_text(STILL.replace("kernel_size: 5", "kernel_size: 3"), encoding="utf-8")
    with pytest.raises(ModelError, match="do not fit this network"):
        kerasrun.dry_run(folder / "dry.yaml", output=folder / "runs", branch=kerasrun.Branch(source))
