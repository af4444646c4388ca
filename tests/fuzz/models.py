"""Networks in files that somebody tampered with: `.keras`, `.h5`, `.json`, `.yaml`, with changed configs.

`summary` and `predict` take a model file, and `summary` an experiment whose network is `saved`.
"""

import atexit
import json
import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from tests.fuzz import in_process, json_values
from tests.fuzz.experiments import mutated_bytes

MEMORY = None  # TensorFlow's is its own
GROWTH = 2**30
SECONDS = 40
PROCESSOR_SECONDS = 5
LIGHT = False

_base: dict[str, Path] = {}
EXPERIMENT = "data: {{npz: {{path: digits.npz, limit: 8}}}}\nmodel: {{saved: {{path: '{file}'{more}}}}}\n"
KEYS = ("", "", ", drop_last: 1", ", head: [4]", ", weights: null", ", trainable: false")


@dataclass(frozen=True)
class Case:
    folder: Path
    commands: tuple[tuple[str, ...], ...]


def prepare() -> None:
    """Save networks in every form."""
    import keras
    from keras import layers

    from tests.training.conftest import train_small, write_digits

    folder = Path(tempfile.mkdtemp(prefix="fuzz-models-"))
    atexit.register(shutil.rmtree, folder)
    write_digits(folder)
    np.save(folder / "examples.npy", np.zeros((2, 32, 32, 1), np.uint8))
    run = train_small(folder, "fit: {epochs: 1}\n")
    shutil.copy(run.best_model, folder / "trained.keras")
    shutil.rmtree(run.root.parent)
    (folder / "small.yaml").unlink()
    inputs = keras.Input((32, 32, 1))
    x = layers.Conv2D(2, 3, padding="same", activation="relu", kernel_regularizer="l2")(inputs)
    x = layers.MaxPooling2D(4)(layers.Add()([x, layers.BatchNormalization()(x)]))
    x = layers.Maximum()([x, layers.Activation("sigmoid")(x)])
    inner = keras.Sequential([layers.Flatten(), layers.Dropout(0.1), layers.Dense(3, kernel_constraint="max_norm")])
    functional = keras.Model(inputs, layers.Dense(10, activation="softmax")(inner(x)))
    flat = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10, activation="softmax")]
    for name, model in (("functional", functional), ("sequential", keras.Sequential([inputs, *flat]))):
        model.save(folder / f"{name}.keras")
        model.save(folder / f"{name}.h5")
        (folder / f"{name}.json").write_text(model.to_json())
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(json.loads(model.to_json()), sort_keys=False))
    _base["folder"] = folder


def make(rng: random.Random, folder: Path) -> Case:
    shutil.copy(_base["folder"] / "digits.npz", folder)
    shutil.copy(_base["folder"] / "examples.npy", folder)
    forms = sorted(path for path in _base["folder"].iterdir() if path.suffix in (".keras", ".h5", ".json", ".yaml"))
    file = Path(shutil.copy(rng.choice((*forms, *[_base["folder"] / "trained.keras"] * 3)), folder))
    if rng.random() < 0.1:
        file.write_bytes(mutated_bytes(rng, file.read_bytes()))
    else:
        _reconfigure(rng, file)
    experiment = folder / "experiment.yaml"
    experiment.write_text(EXPERIMENT.format(file=file.name, more=rng.choice(KEYS)))
    commands: list[tuple[str, ...]] = [("validate", str(experiment)), ("summary", str(experiment))]
    if file.name == "trained.keras":
        commands = [("predict", str(folder / "examples.npy"), "--model", str(file)), ("summary", str(file))]
    return Case(folder, tuple(commands))


def check(case: Case) -> str:
    outcomes = [in_process.kerasrun(case.folder, *command) for command in case.commands]
    return "accepted" if all(outcomes) else "refused"


what_is_wrong_with = in_process.what_is_wrong_with


def _reconfigure(rng: random.Random, file: Path) -> None:
    if file.suffix == ".json":
        file.write_text(json.dumps(json_values.mutated(rng, json.loads(file.read_text()))))
    elif file.suffix == ".yaml":
        config = json_values.mutated(rng, yaml.safe_load(file.read_text()))
        try:
            text = json.dumps(config) if rng.random() < 0.5 else yaml.safe_dump(config, sort_keys=False)
        except RecursionError:  # PyYAML's
            text = json.dumps(config)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
    elif file.suffix == ".h5":
        import h5py

        with h5py.File(file, "r+") as opened:
            config = json_values.mutated(rng, json.loads(opened.attrs["model_config"]))
            text = json.dumps(config)
            if len(text) < 60_000:  # what an attribute holds
                opened.attrs["model_config"] = text
    else:
        entry = "kerasrun.json" if file.name == "trained.keras" and rng.random() < 0.4 else "config.json"
        in_process.rewrite_zip(file, entry, lambda config: json_values.mutated(rng, config))
