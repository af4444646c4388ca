"""The matrix: all that a run can contain, in so few experiments that every pair of choices meets in one of them."""

import functools
import itertools
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from tests.seeds import moved

DIGITS = Path(__file__).parents[2] / "data" / "digits" / "digits.npz"
TEST, BATCH_SIZE, EPOCHS = 40, 16, 10
STEPS_PER_EPOCH = 7  # the last one has 4 examples

NONE = "none"
# Choices that exclude each other are values of one factor: a schedule and ReduceLROnPlateau both set the learning rate,
# SwapEMAWeights needs an optimizer with averages.
FACTORS: Mapping[str, tuple[str, ...]] = {
    "learning rate": (
        *(NONE, "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "PiecewiseConstantDecay"),
        "ReduceLROnPlateau",
    ),
    "optimizer": ("SGD", "Adam", "RMSprop", "AdamW"),
    "average": (NONE, "use_ema", "SwapEMAWeights", "swap_on_epoch"),
    "ModelCheckpoint": (NONE, "epochs", "best", "steps"),
    "source": ("directory", "npz", "idx"),
    "augmentation": (NONE, "geometry", "pixels"),
    "dropout": (NONE, "Dropout", "SpatialDropout2D"),
    "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
    "EarlyStopping": (NONE, "restores", "stops"),
    "TensorBoard": (NONE, "histograms", "steps"),
    "checkpoint": ("epochs", "seconds", "seldom"),
    "class weights": (NONE, "balanced", "by name"),
    "BatchNormalization": (NONE, "yes"),
}

_RATES = {"SGD": 0.02, "Adam": 0.005, "RMSprop": 0.002, "AdamW": 0.005}
_ARGUMENTS: Mapping[str, Mapping[str, object]] = {"SGD": {"momentum": 0.9}, "AdamW": {"weight_decay": 0.01}}
_CLASS_WEIGHT: Mapping[str, object] = {NONE: None, "balanced": "balanced", "by name": {"3": 4.0, "8": 0.25}}
_AUGMENTATION = {
    "geometry": [
        {"RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1}},
        {"RandomRotation": {"factor": 0.05}},
    ],
    "pixels": [{"RandomContrast": {"factor": 0.2}}, {"RandomBrightness": {"factor": 0.1}}],
}
_MODEL_CHECKPOINT = {
    "epochs": {"filepath": "saved/{epoch:02d}.keras"},
    "best": {"filepath": "saved/best.weights.h5", "save_weights_only": True, "save_best_only": True},
    "steps": {"filepath": "saved/step.keras", "save_freq": 5},
}
_EARLY_STOPPING = {
    "restores": {"monitor": "val_loss", "patience": EPOCHS, "restore_best_weights": True},
    # So much improvement is asked for that some epoch before the last one fails to bring it.
    "stops": {"monitor": "loss", "patience": 3, "min_delta": 1.0, "restore_best_weights": True},
}
_TENSORBOARD = {"histograms": {"histogram_freq": 1}, "steps": {"histogram_freq": 2, "update_freq": 3}}
_CHECKPOINT: Mapping[str, Mapping[str, object]] = {
    "epochs": {"epochs": 1, "seconds_between": 0},
    "seconds": {"epochs": 2, "seconds": 0.001, "seconds_between": 0},  # after every chunk of steps
    "seldom": {"epochs": 3, "seconds_between": 0.05, "keep": 1},  # about as long as an epoch: some wait to be written
}


_NOT_TOLD_BY_CHOICE = ("ModelCheckpoint", "EarlyStopping", "TensorBoard", "checkpoint", "class weights")


@dataclass(frozen=True)
class Cell:
    """One experiment of the matrix."""

    number: int
    choices: tuple[tuple[str, str], ...]
    workers: int = 1
    """How many processes train it, each a shard. What has no augmentation begins with a frozen layer then, so that
    features are shared out too; every other BatchNormalization is synchronized."""

    @property
    def name(self) -> str:
        return f"cell{self.number:02d}"

    @property
    def by_one_command(self) -> bool:
        """Whether it is trained and resumed by `train FILE --resume`, and not by `train` and `resume`."""
        return self.number % 2 == 0

    def __str__(self) -> str:
        """What it has, in the order of the factors."""
        words = (factor if choice == "yes" else _word(factor, choice) for factor, choice in self.choices)
        return ", ".join(word for word in words if word)

    def __getitem__(self, factor: str) -> str:
        return dict(self.choices)[factor]

    @property
    def most_steps_lost(self) -> int:
        """By one kill: since the newest checkpoint in place, while the next one is still being written."""
        return 2 * STEPS_PER_EPOCH * int(str(_CHECKPOINT[self["checkpoint"]]["epochs"]))

    def write(self, folder: Path, data: Path) -> Path:
        """Write the experiment file; `data` is what `write_data` made."""
        file = folder / f"{self.name}.yaml"
        file.write_text(f"# {self}\n" + yaml.safe_dump(self._experiment(data), sort_keys=False), encoding="utf-8")
        return file

    def _experiment(self, data: Path) -> dict[str, object]:
        path = str(data / {"directory": "png", "npz": "digits.npz", "idx": "idx"}[self["source"]])
        grey = {"color_mode": "grayscale"} if self["source"] == "directory" else {}
        return {
            "seed": moved(self.number),
            "data": {self["source"]: {"path": path, **grey}},
            "augmentation": _AUGMENTATION.get(self["augmentation"], []),
            "model": {"layers": list(self._layers())},
            "compile": {"optimizer": self._optimizer(), "metrics": ["accuracy", "AUC"]},
            "fit": {
                **{"batch_size": BATCH_SIZE, "epochs": EPOCHS, "validation_data": "test"},
                "class_weight": _CLASS_WEIGHT[self["class weights"]],
            },
            "callbacks": list(self._callbacks()),
            "checkpoint": _CHECKPOINT[self["checkpoint"]],
            "device": "cpu",
            "precision": self["precision"],
        }

    @property
    def has_features(self) -> bool:
        """Whether a frozen layer is computed once for all epochs."""
        return self.workers > 1 and self["augmentation"] == NONE

    def _layers(self) -> Iterator[object]:
        normalized = self["BatchNormalization"] == "yes"
        frozen = {"trainable": False} if self.has_features else {}
        yield {"Conv2D": {"filters": 4, "kernel_size": 5, "strides": 3, "use_bias": not normalized, **frozen}}
        if normalized:
            yield {"BatchNormalization": {"synchronized": self.workers > 1 and self.number % 2 == 1}}
        yield "ReLU"
        if self["dropout"] == "SpatialDropout2D":
            yield {"SpatialDropout2D": {"rate": 0.2}}
        yield "Flatten"
        if self["dropout"] == "Dropout":
            yield {"Dropout": {"rate": 0.4}}
        yield {"Dense": {"units": 16, "activation": "relu"}}

    def _optimizer(self) -> dict[str, object]:
        name, rate = self["optimizer"], _RATES[self["optimizer"]]
        steps = EPOCHS * STEPS_PER_EPOCH
        schedules: dict[str, object] = {
            "CosineDecay": {"initial_learning_rate": rate, "decay_steps": steps, "warmup_steps": 5},
            "CosineDecayRestarts": {"initial_learning_rate": rate, "first_decay_steps": steps // 3},
            "ExponentialDecay": {"initial_learning_rate": rate, "decay_steps": steps // 3, "decay_rate": 0.5},
            "PiecewiseConstantDecay": {"boundaries": [steps // 4, steps // 2], "values": [rate, rate / 2, rate / 4]},
        }
        schedule = self["learning rate"]
        average = {} if self["average"] == NONE else {"use_ema": True, "ema_momentum": 0.9}
        learning_rate = {schedule: schedules[schedule]} if schedule in schedules else rate
        return {name: {"learning_rate": learning_rate, **_ARGUMENTS.get(name, {}), **average}}

    def _callbacks(self) -> Iterator[object]:
        if self["learning rate"] == "ReduceLROnPlateau":
            yield {"ReduceLROnPlateau": {"monitor": "val_loss", "patience": 1, "factor": 0.5, "min_delta": 0.1}}
        if self["average"] == "SwapEMAWeights":
            yield "SwapEMAWeights"
        if self["average"] == "swap_on_epoch":
            yield {"SwapEMAWeights": {"swap_on_epoch": True}}
        for name, arguments in (
            ("ModelCheckpoint", _MODEL_CHECKPOINT),
            ("EarlyStopping", _EARLY_STOPPING),
            ("TensorBoard", _TENSORBOARD),
        ):
            if self[name] != NONE:
                yield {name: arguments[self[name]]}
        yield {"CSVLogger": {"filename": "log.csv"}}


Pair = tuple[tuple[str, str], tuple[str, str]]


@functools.cache
def cells() -> tuple[Cell, ...]:
    """The whole matrix, the same on every call and machine."""
    return tuple(Cell(number, tuple(row.items())) for number, row in enumerate(all_pairs(FACTORS), start=1))


def all_pairs(factors: Mapping[str, tuple[str, ...]]) -> list[dict[str, str]]:
    """Rows that hold every pair of values of two factors, made greedily: no row without a pair that none before had."""
    missing = dict.fromkeys(pairs(factors))  # in order, so that the rows are the same each time
    used: Counter[tuple[str, str]] = Counter()
    rows = []
    while missing:
        chosen = dict(next(iter(missing)))
        for factor in factors:
            if factor not in chosen:
                chosen[factor] = _best(factor, factors, chosen, missing, used)
        row = {factor: chosen[factor] for factor in factors}
        for pair in itertools.combinations(row.items(), 2):
            missing.pop(pair, None)
        used.update(row.items())
        rows.append(row)
    return rows


def pairs(factors: Mapping[str, tuple[str, ...]]) -> Iterator[Pair]:
    """Every pair of values of two factors, in the order of the factors."""
    for (one, values), (other, others) in itertools.combinations(factors.items(), 2):
        for value, other_value in itertools.product(values, others):
            yield (one, value), (other, other_value)


def write_data(folder: Path) -> Path:
    """100 + 40 of the shipped digits as `png/`, `digits.npz` and `idx/` in a folder, which is made and returned.

    Of the digit d, 2 d + 1 are for training, so that weights of classes have something to balance.
    """
    folder.mkdir(parents=True)
    with np.load(DIGITS) as digits:
        unequal = np.sort(np.concatenate([np.flatnonzero(digits["y_train"] == d)[: 2 * d + 1] for d in range(10)]))
        arrays = {name: digits[name][unequal if "train" in name else slice(TEST)] for name in digits}
    np.savez(folder / "digits.npz", **arrays)
    (folder / "idx").mkdir()
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            file = folder / "png" / split / str(label) / f"{number:03d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.reshape(image.shape[:2])).save(file)
        for name, array in (("images-idx3", images.reshape(images.shape[:3])), ("labels-idx1", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / "idx" / f"{prefix}-{name}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())
    return folder


def _word(factor: str, choice: str) -> str:
    if choice == NONE:
        return ""
    return f"{factor} {choice}" if factor in _NOT_TOLD_BY_CHOICE else choice


def _best(
    factor: str,
    factors: Mapping[str, tuple[str, ...]],
    chosen: Mapping[str, str],
    missing: Mapping[Pair, None],
    used: Counter[tuple[str, str]],
) -> str:
    """The value that brings most of the missing pairs; of several the one that is rarest so far."""
    order = list(factors)

    def gain(value: str) -> tuple[int, int]:
        met = 0
        for other in chosen.items():
            first, second = sorted(((factor, value), other), key=lambda item: order.index(item[0]))
            met += (first, second) in missing
        return met, -used[factor, value]

    return max(factors[factor], key=gain)
