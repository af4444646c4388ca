"""The search of `configs/sweep_digits.yaml` by hand: Optuna, `model.fit`, and a callback that tells each epoch.

It saves nothing but the study, in a journal. It prints as JSON how many epochs it has trained, and its memory in MB
after the tenth and after the last trial.

Example: python -m benchmarks.peers.optuna_fit data/digits/digits.npz FOLDER 40
"""

import json
import resource
import sys
from pathlib import Path

import keras
import numpy as np
import optuna
from keras import layers

EPOCHS = 9


def objective(trial: optuna.Trial) -> float:
    keras.utils.clear_session()
    keras.utils.set_random_seed(trial.number)
    rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    units = {"small": [64], "large": [256, 128]}[trial.suggest_categorical("units", ["small", "large"])]
    batch_size = trial.suggest_int("batch_size", 16, 256, step=16)
    hidden = [layers.Dense(width, activation="relu") for width in units]
    model = keras.Sequential([layers.Rescaling(1 / 255), layers.Flatten(), *hidden, layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])

    def report(epoch: int, logs: dict[str, float]) -> None:
        trial.report(logs["val_accuracy"], epoch + 1)
        trained.append(epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    told = keras.callbacks.LambdaCallback(on_epoch_end=report)
    history = model.fit(x, y, batch_size, EPOCHS, verbose=0, callbacks=[told], validation_split=0.2)
    return max(history.history["val_accuracy"])


def note_memory(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    megabytes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    file, folder, trials = sys.argv[1:]
    trained: list[int] = []
    megabytes: list[float] = []
    with np.load(file) as digits:
        x, y = digits["x_train"], digits["y_train"]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal = optuna.storages.journal.JournalFileBackend(str(Path(folder) / "journal.log"))
    study = optuna.create_study(
        storage=optuna.storages.journal.JournalStorage(journal),
        sampler=optuna.samplers.TPESampler(seed=1),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EPOCHS),
        direction="maximize",
    )
    study.optimize(objective, int(trials), callbacks=[note_memory])
    memory = [megabytes[min(9, len(megabytes) - 1)], megabytes[-1]]
    print(json.dumps({"epochs": len(trained), "best": study.best_value, "megabytes": memory}))
