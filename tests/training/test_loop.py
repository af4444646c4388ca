"""The loop does what `Model.fit` does, and says so where it cannot go on."""

import csv
import gc
import json
import logging

import numpy as np
import pytest

import kerasrun
from kerasrun.errors import KerasrunError, NotFiniteError, OutOfMemoryError, PluginError, RunDirectoryError
from kerasrun.runs.metrics import Table
from tests.grids import rest_is_long
from tests.seeds import moved

pytestmark = pytest.mark.tensorflow


def rows(run):
    return Table(run.metrics_file).rows()


def test_the_logs_are_those_of_fit(train, digits):
    """On the same batches in the same order, from the same weights, with dropout left out."""
    import keras
    import tensorflow as tf

    from kerasrun.pipeline.order import epoch_order

    run = train(
        "fit: {epochs: 3, batch_size: 32, validation_data: test}\ncompile: {optimizer: {SGD: {learning_rate: 0.1}}}"
    )
    keras.utils.clear_session()
    keras.utils.set_random_seed(moved(1))
    inputs = keras.Input((32, 32, 1))
    x = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy", metrics=["accuracy"])
    one_hot = np.eye(10, dtype=np.float32)
    x_train, y_train = digits["x_train"][..., np.newaxis].astype(np.float32), one_hot[digits["y_train"]]
    validation = (digits["x_test"][..., np.newaxis].astype(np.float32), one_hot[digits["y_test"]])
    logged = rows(run)
    assert len(logged) == 3
    for epoch, row in enumerate(logged):
        order = epoch_order(moved(1), epoch, 200)
        batches = tf.data.Dataset.from_tensor_slices((x_train[order], y_train[order])).batch(32)
        logs = model.fit(batches, validation_data=validation, epochs=1, shuffle=False, verbose=0).history
        assert row["epoch"] == epoch + 1
        assert row.keys() == {"epoch", *logs, "learning_rate"}
        for name, (value,) in logs.items():
            assert row[name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.long
def test_how_steps_are_fused_changes_no_bit(train, monkeypatch):
    from kerasrun.engine import chunks
    from tests.training.exactness import variables_digest

    text = "model: {MLP: {units: [8], dropout: 0.3}}\nfit: {epochs: 2, batch_size: 16}"
    digests = set()
    for target in (0.0, 0.001, 10.0):
        monkeypatch.setattr(chunks, "TARGET_SECONDS", target)
        digests.add(variables_digest(train(text).last_model))
    assert len(digests) == 1


@pytest.mark.long
def test_another_seed_gives_another_run(train):
    first = rows(train("seed: 1"))
    assert first == rows(train("seed: 1"))
    assert first != rows(train("seed: 2"))


def test_the_best_epoch_is_kept_beside_the_last(train):
    from kerasrun.model_file import read_info

    run = train(
        "fit: {epochs: 4, validation_data: test}\ncompile: {optimizer: {SGD: {learning_rate: 2.0}}}\n"
        "checkpoint: {monitor: val_accuracy}"
    )
    values = [row["val_accuracy"] for row in rows(run)]
    best = run.read_run()["best"]
    assert best == {"monitor": "val_accuracy", "value": max(values), "epoch": values.index(max(values)) + 1}
    assert read_info(run.best_model).epoch == best["epoch"]
    assert read_info(run.last_model).epoch == 4


def test_a_loss_that_is_not_finite_stops_with_step_and_learning_rate_and_keeps_the_checkpoint(train, tmp_path):
    with pytest.raises(
        NotFiniteError, match=r"not finite at step \d+ of epoch 1, at a learning rate of 1e\+2"
    ) as error:
        train("compile: {optimizer: {SGD: {learning_rate: 1.0e+20}}, loss: mse}\nmodel: {MLP: {units: [8, 8]}}")
    assert "clipnorm" in str(error.value)
    run = kerasrun.open_run(tmp_path / "runs" / "latest")
    assert run.read_run()["status"] == "failed"
    assert "not finite" in run.read_run()["reason"]
    assert (run.checkpoints / "00000000" / "progress.json").exists()


def test_no_memory_on_the_device_is_told_with_the_batch_size(train, monkeypatch):
    import tensorflow as tf

    from kerasrun.engine.steps import FusedSteps

    def exhausted(self, iterator, steps):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(FusedSteps, "__call__", exhausted)
    with pytest.raises(OutOfMemoryError, match=r"batch of 64: .*OOM.*; try -s fit.batch_size=32"):
        train("fit: {batch_size: 64}")


def test_early_stopping_ends_the_run_and_says_so(train):
    run = train(
        "fit: {epochs: 9, validation_data: test}\ncompile: {optimizer: {SGD: {learning_rate: 0.0}}}\n"
        "callbacks: [{EarlyStopping: {monitor: val_loss, patience: 2}}]"
    )
    assert len(rows(run)) == 3
    assert run.read_run()["status"] == "finished"
    assert "stopped early by EarlyStopping on val_loss after epoch 3 of 9" in run.read_run()["reason"]


@pytest.mark.long
def test_batch_hooks_run_at_every_step_for_those_that_need_them(train):
    run = train(
        "fit: {epochs: 1, batch_size: 50}\n"
        "callbacks: [{ModelCheckpoint: {filepath: 'steps/{batch:02d}.keras', save_freq: 2}}]"
    )
    assert sorted(path.name for path in (run.root / "steps").iterdir()) == ["02.keras", "04.keras"]


def test_callbacks_write_into_the_run(train):
    run = train(
        "fit: {epochs: 2, validation_data: test}\n"
        "callbacks: [{CSVLogger: {filename: log.csv}}, {ModelCheckpoint: {filepath: 'w-{epoch}.weights.h5', "
        "save_weights_only: true}}]"
    )
    with (run.root / "log.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    assert (run.root / "w-1.weights.h5").exists()
    assert (run.root / "w-2.weights.h5").exists()


def test_a_frozen_learning_rate_schedule_is_logged(train):
    run = train(
        "fit: {epochs: 2, batch_size: 100}\n"
        "compile: {optimizer: {SGD: {learning_rate: {ExponentialDecay: {initial_learning_rate: 0.1, "
        "decay_steps: 2, decay_rate: 0.5, staircase: true}}}}}"
    )
    assert [row["learning_rate"] for row in rows(run)] == pytest.approx([0.05, 0.025])


@pytest.mark.long
def test_what_callbacks_print_goes_to_stderr(train, capsys):
    train(
        "fit: {epochs: 3, validation_data: test}\ncompile: {optimizer: {SGD: {learning_rate: 0.0}}}\n"
        "callbacks: [{EarlyStopping: {monitor: val_loss, patience: 1, verbose: 1}}]"
    )
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "early stopping" in printed.err


@pytest.mark.long
def test_an_epoch_is_one_line_where_stderr_is_no_terminal(train, caplog):
    with caplog.at_level(logging.INFO, "kerasrun"):
        train("fit: {epochs: 2}")
    lines = [message for message in caplog.messages if message.startswith("epoch ")]
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all("loss " in line and "accuracy " in line for line in lines)


@pytest.mark.long
def test_the_run_says_what_it_was_made_of(train):
    run = train("seed: 5\nfit: {validation_split: 0.1}", "fit.epochs=2")
    content = run.read_run()
    assert (content["seed"], content["epochs"], content["overrides"]) == (5, 2, ["fit.epochs=2"])
    assert content["device"]["kind"] in ("cpu", "gpu")
    assert content["examples"]["train"] + content["examples"]["validation"] == 200
    assert content["versions"]["keras"]
    assert json.dumps(content)


@pytest.mark.long
@pytest.mark.half_precision
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_resumes(train, precision):
    run = train(f"precision: {precision}\nfit: {{epochs: 1}}")
    kerasrun.resume(run, overrides=["fit.epochs=2"])
    assert len(rows(run)) == 2
    assert run.read_run()["status"] == "finished"


def test_a_dry_run_tries_everything_and_leaves_nothing(tmp_path, digits, caplog):
    file = tmp_path / "dry.yaml"
    file.write_text("data: {npz: {path: digits.npz}}\nmodel: LeNet\n", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    with caplog.at_level(logging.INFO, "kerasrun"):
        kerasrun.dry_run(file, output=tmp_path / "runs")
    assert sorted(tmp_path.iterdir()) == before
    assert any("one batch of 32" in message and "saved and restored" in message for message in caplog.messages)


@pytest.mark.long
def test_a_dry_run_ends_an_epoch_as_training_does(tmp_path, digits):
    (tmp_path / "late.py").write_text(
        "import keras\n\n\nclass Late(keras.callbacks.Callback):\n"
        "    stateless = True\n    def on_epoch_end(self, epoch, logs=None):\n        raise ValueError(sorted(logs))\n",
        encoding="utf-8",
    )
    file = tmp_path / "dry.yaml"
    file.write_text(
        "plugins: [late.py]\ndata: {npz: {path: digits.npz}}\nmodel: LeNet\ncallbacks: [Late]\n"
        "compile: {metrics: [accuracy]}\nfit: {validation_split: 0.5}\n",
        encoding="utf-8",
    )
    with pytest.raises(PluginError, match=r"late\.py:7: .*'accuracy', .*'loss', 'val_accuracy', 'val_loss'"):
        kerasrun.dry_run(file, output=tmp_path / "runs")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("compile: {metrics: [F1Score]}", "f1_score gives several values.*average: macro"),
        ("compile: {metrics: [{Precision: {thresholds: [0.3, 0.7]}}]}", "precision gives several.*a single threshold"),
        ("callbacks: [SwapEMAWeights]\nfit: {validation_data: test}", "use_ema: true"),
        ("callbacks: [{TensorBoard: {log_dir: .}}]", "kerasrun writes this itself"),
        ("callbacks: [{CSVLogger: {filename: metrics.csv}}]", "kerasrun writes this itself"),
        ("callbacks: [{CSVLogger: {filename: a.csv}}, {CSVLogger: {filename: a.csv}}]", "two of them write a.csv"),
        ("compile: {metrics: [Hinge]}", "Hinge measures scores, but the network's outputs are probabilities"),
        ("compile: {metrics: [{MeanIoU: {num_classes: 9}}]}", "MeanIoU has num_classes: 9, but there are 10"),
        ("augmentation: [{RandomCrop: {height: 8, width: 8}}]", r"makes examples of shape \(8, 8, 1\).*image_size"),
        ("augmentation: [{RandomHue: {factor: 0.1}}]", "does not take examples of shape"),
        ("model: {layers: [Flatten, {Dense: {units: 4, name: output}}]}", "a second layer called 'output'"),
        ("model: VGG16", "VGG16 takes images of 3 channels, but these have 1; set color_mode: rgb"),
    ],
)
def test_what_cannot_work_is_told_before_there_is_a_run(train, tmp_path, text, words):
    with pytest.raises(KerasrunError, match=words):
        train(text)
    assert not (tmp_path / "runs").exists()


@pytest.mark.long
def test_activity_regularizers_train_and_validate(train):
    run = train(
        "model: {layers: [Flatten, {Dense: {units: 4, activity_regularizer: {L2: {l2: 0.001}}}}]}\n"
        "fit: {epochs: 1, validation_data: test}"
    )
    assert rows(run)[0]["val_loss"] > 0


@pytest.mark.long
def test_settings_in_keras_json_change_nothing(train):
    import keras

    before = rows(train())
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float64")
    assert rows(train()) == before


def test_the_dry_run_notices_a_restore_that_restores_nothing(tmp_path, digits, monkeypatch):
    from kerasrun.engine import state
    from kerasrun.errors import CheckpointError

    restore = state.restore_model

    def forgetful(model, arrays):
        if not any(array.any() for array in arrays.values()):
            restore(model, arrays)

    monkeypatch.setattr(state, "restore_model", forgetful)
    file = tmp_path / "dry.yaml"
    file.write_text("data: {npz: {path: digits.npz}}\nmodel: LeNet\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="not what was saved"):
        kerasrun.dry_run(file, output=tmp_path / "runs")


def _optimizers():
    from kerasrun.experiment.refused import refusal
    from kerasrun.keras_catalogue import names

    return [name for name in names("optimizers") if name != "LossScaleOptimizer" and not refusal("optimizers", name)]


# Those of the layers do not depend on the optimizer.
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.parametrize(
    ("optimizer", "has_state"), rest_is_long([("Adam", True), *((name, False) for name in _optimizers())])
)
def test_the_state_has_every_variable_that_a_step_changes(optimizer, has_state, precision):
    """Found by looking at what the traced step captures, so that nothing has to be remembered here."""
    import keras
    import tensorflow as tf

    from kerasrun.engine import state
    from kerasrun.engine.steps import FusedSteps

    keras.utils.clear_session()
    keras.config.set_dtype_policy(precision)
    try:
        inputs = keras.Input((6,))
        x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(inputs)) if has_state else inputs
        model = keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(x))
        model.compile(getattr(keras.optimizers, optimizer)(), "mse", metrics=[keras.metrics.MeanAbsoluteError()])
        model.optimizer.build(model.trainable_variables)
    finally:
        keras.config.set_dtype_policy("float32")
    fused = FusedSteps(model)
    batches = tf.data.Dataset.from_tensors((tf.ones((4, 6)), tf.ones((4, 1)))).repeat()
    graph = fused.function.get_concrete_function(iter(batches), tf.constant(1, tf.int64)).graph
    kept = {id(variable.value) for _, variable in state._variables(model)}
    assert graph.variables
    assert [variable.name for variable in graph.variables if id(variable) not in kept] == []


@pytest.mark.parametrize(
    "text",
    rest_is_long(
        [
            "name: été 日本\n",
            "compile: {optimizer: {SGD: {learning_rate: 1}}}\n",
            "callbacks: [{CSVLogger: {filename: logs/log.csv}}]\n",
            "compile: {loss: Circle}\n",
        ]
    ),
)
def test_what_users_write_trains(train, text):
    assert len(rows(train(text))) == 1


@pytest.mark.long
def test_the_best_model_is_the_one_that_was_measured_also_with_averaged_weights(train):
    run = train(
        "fit: {epochs: 3, validation_data: test}\ncallbacks: [SwapEMAWeights]\n"
        "compile: {optimizer: {SGD: {learning_rate: 0.1, use_ema: true, ema_momentum: 0.9}}}"
    )
    evaluated = kerasrun.evaluate(run, split="test").metrics
    best = rows(run)[run.read_run()["best"]["epoch"] - 1]
    assert {f"val_{name}": value for name, value in evaluated.items()}.items() <= best.items()


@pytest.mark.long
def test_accuracy_counts_logits_by_their_sign(train, tmp_path, digits):
    kept = {}
    for name in ("train", "test"):
        chosen = digits[f"y_{name}"] < 2
        kept |= {f"{axis}_{name}": digits[f"{axis}_{name}"][chosen] for axis in "xy"}
    np.savez(tmp_path / "two.npz", **kept)
    run = train(
        "data: {npz: {path: two.npz}}\nfit: {epochs: 2, validation_data: test}\n"
        "compile: {loss: {BinaryCrossentropy: {from_logits: true}}}"
    )
    report = kerasrun.evaluate(run)
    assert report.metrics["accuracy"] == pytest.approx(report.scores.accuracy)


@pytest.mark.long
def test_hinge_gives_scores_and_no_probabilities(train, tmp_path, digits):
    from PIL import Image

    run = train("compile: {loss: categorical_hinge}")
    Image.fromarray(digits["x_test"][0]).save(tmp_path / "a.png")
    (prediction,) = kerasrun.predict([tmp_path / "a.png"], model=run.best_model)
    assert "score" in prediction.as_dict()
    assert "probability" not in prediction.as_dict()


@pytest.mark.parametrize(("number", "kind"), [("ENOSPC", RunDirectoryError), ("ENOENT", OSError)])
def test_a_file_that_a_callback_cannot_write_ends_the_run_as_failed(train, tmp_path, monkeypatch, number, kind):
    import errno
    import os

    from kerasrun.training.loop import TrainingLoop

    def cannot_write(self, *arguments):
        code = getattr(errno, number)
        raise OSError(code, os.strerror(code), "w.keras")

    monkeypatch.setattr(TrainingLoop, "_end_epoch", cannot_write)
    with pytest.raises(kind):
        train()
    assert kerasrun.open_run(tmp_path / "runs" / "latest").read_run()["status"] == "failed"


@pytest.mark.parametrize(
    ("asked", "gpus", "told"),
    [("auto", [], False), ("auto", ["GPU:0"], "auto"), (True, [], True), (False, ["GPU:0"], False)],
)
def test_xla_is_decided_by_a_rule(asked, gpus, told, monkeypatch):
    from kerasrun.engine import building

    monkeypatch.setattr(building.tf.config, "get_visible_devices", lambda kind: gpus)
    assert building._jit_compile(asked) == told


@pytest.mark.long
def test_a_step_that_xla_compiles_learns_what_another_learns():
    import keras
    import tensorflow as tf

    from kerasrun.engine.steps import FusedSteps

    weights = []
    for jit_compile in (True, False):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        model._jit_compile = jit_compile  # Keras refuses where operations are deterministic
        batches = tf.data.Dataset.from_tensors((tf.ones((4, 6)), tf.ones((4, 1)))).repeat()
        fused = FusedSteps(model)
        fused(iter(batches), 3)
        compiled = "_XlaMustCompile" in str(
            fused.function.get_concrete_function(iter(batches), tf.constant(1, tf.int64)).graph.as_graph_def()
        )
        assert compiled == jit_compile
        weights.append(model.get_weights())
    assert len(weights[0]) == 4
    for with_xla, without in zip(*weights, strict=True):
        np.testing.assert_allclose(with_xla, without, rtol=1e-5)


@pytest.mark.long
def test_a_training_leaves_no_graph_behind(train):
    """TensorFlow keeps some 4 MB of each otherwise, so that a search would fill the memory."""

    def graphs():
        gc.collect()
        return {one.name for one in gc.get_objects() if type(one).__name__ == "WhileBodyFuncGraph"}

    train("fit: {epochs: 1}")
    before = graphs()
    train("fit: {epochs: 1}")
    assert graphs() <= before
