"""A small run with everything in it that has state, and what of it must be equal bit for bit."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np

from kerasrun.runs.directory import RunDirectory
from tests.seeds import moved

DIGITS = Path(__file__).parents[2] / "data" / "digits" / "digits.npz"
EPOCHS, STEPS_PER_EPOCH = 4, 4

# 96 training examples in batches of 27: four steps an epoch, the last one of 15. No epoch improves by `min_delta`, so
# that the learning rate falls after each but the first; EarlyStopping keeps the best weights.
EXPERIMENT = f"""
name: exact
seed: {moved(7)}
data: {{npz: {{path: digits.npz}}}}
augmentation:
  - RandomTranslation: {{height_factor: 0.1, width_factor: 0.1}}
  - RandomContrast: {{factor: 0.2}}
model:
  layers:
    - Conv2D: {{filters: 4, kernel_size: 5, strides: 3, use_bias: false}}
    - BatchNormalization
    - ReLU
    - Flatten
    - Dropout: {{rate: 0.4}}
    - Dense: {{units: 16, activation: relu}}
    - Dropout: {{rate: 0.2}}
compile:
  optimizer: {{Adam: {{learning_rate: 0.01}}}}
  metrics: [accuracy, AUC]
fit: {{batch_size: 27, epochs: 4, validation_data: test}}
callbacks:
  - ReduceLROnPlateau: {{monitor: val_loss, patience: 1, factor: 0.5, min_delta: 10}}
  - EarlyStopping: {{monitor: val_loss, patience: 3, restore_best_weights: true}}
  - TensorBoard
  - CSVLogger: {{filename: log.csv}}
checkpoint: {{epochs: 2, seconds_between: 0}}
"""


def write_experiment(folder: Path) -> Path:
    """The experiment above and 96 + 40 of the shipped digits in a folder."""
    with np.load(DIGITS) as digits:
        kept = {name: digits[name][:count] for name, count in _COUNTS.items()}
    np.savez(folder / "digits.npz", **kept)
    file = folder / "exact.yaml"
    file.write_text(EXPERIMENT, encoding="utf-8")
    return file


_COUNTS = {"x_train": 96, "y_train": 96, "x_test": 40, "y_test": 40}


def digests(run: RunDirectory) -> dict[str, str]:
    """sha256 of everything that an interruption must not change."""
    return {
        "last.keras": variables_digest(run.last_model),
        "best.keras": variables_digest(run.best_model),
        "metrics.csv": _sha256(run.metrics_file.read_bytes()),
        "log.csv": _sha256((run.root / "log.csv").read_bytes()),
        "state": _sha256(json.dumps(_state(run), sort_keys=True).encode()),
        "why it ended": json.dumps({key: run.read_run()[key] for key in ("status", "reason", "best")}),
    }


def variables_digest(path: Path) -> str:
    """sha256 over name, type and bytes of every variable in a model file, the optimizer's included."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        for name, dataset in sorted(datasets(file).items()):
            digest.update(f"{name} {dataset.dtype}".encode() + dataset[()].tobytes())
    return digest.hexdigest()


def _state(run: RunDirectory) -> dict[str, str]:
    """The last checkpoint: every variable, seed generators and metrics included."""
    newest = max(path for path in run.checkpoints.iterdir() if path.name.isdecimal())
    with h5py.File(newest / "state.h5") as file:
        return {name: _sha256(dataset[()].tobytes()) for name, dataset in datasets(file).items()}


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return every array of a file by its path."""
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
