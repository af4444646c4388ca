"""Each metric of Keras gives the value that scikit-learn or arithmetic gives, whatever the loss and the last layer."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import pearsonr
from sklearn import metrics as sk

from kerasrun.components import Component
from kerasrun.errors import ModelError
from kerasrun.experiment.refused import refusal
from kerasrun.keras_catalogue import names
from kerasrun.tasks._metrics import COMPARES
from kerasrun.tasks.base import Targets, task_named

pytestmark = pytest.mark.tensorflow
EXAMPLES = 60
LOGITS = {"from_logits": True}


@dataclass
class Case:
    """A task, a loss and a last layer, with random labels and outputs for them."""

    targets: Targets
    labels: Any
    """As the source has them."""
    outputs: Any
    """As the network gives them."""
    y: Any
    """0 or 1 for each column, a row for each example or pixel."""
    p: Any
    """The probability of each."""
    score: Any

    @property
    def numbers(self):
        """Class numbers."""
        return self.y[:, 0].astype(int) if self.y.shape[1] == 1 else self.y.argmax(1)

    @property
    def d(self):
        """The probabilities of all classes."""
        return np.hstack([1 - self.p, self.p]) if self.p.shape[1] == 1 else self.p

    @property
    def one_hot(self):
        return np.eye(self.targets.classes)[self.numbers]

    @property
    def called(self):
        return self.d.argmax(1)


def case(task, loss, classes, units, kind, size=()):
    rng = np.random.default_rng(7)
    shape = (EXAMPLES // (4 if size else 1), *size)
    task = task_named(task)
    targets = Targets(task, loss, classes, units)
    score = rng.normal(0, 2, (*shape, units)).astype(np.float32)
    p = {"sigmoid": expit, "softmax": lambda s: softmax(s.astype(float), -1)}[
        "softmax" if "softmax" in kind else "sigmoid"
    ](score)
    outputs = score if "raw" in kind else p.astype(np.float32)
    if task.together:
        labels = y = rng.integers(0, 2, (*shape, units))
    else:
        labels = rng.integers(0, classes, (*shape, *((1,) if size else ())))
        flat = labels[..., 0] if size else labels
        y = flat[..., np.newaxis] if units == 1 else np.eye(classes)[flat]
    rows = lambda a: np.asarray(a, float).reshape(-1, a.shape[-1])  # noqa: E731
    return Case(targets, labels.astype(np.uint8) if size else labels, outputs, rows(y), rows(p), rows(score))


def cases():
    one, many = "binary_crossentropy", "categorical_crossentropy"
    sparse = f"sparse_{many}"
    return {
        "one unit": case("classes", Component(one), 2, 1, "sigmoid"),
        "one logit": case("classes", Component("BinaryCrossentropy", LOGITS), 2, 1, "raw sigmoid"),
        "one score": case("classes", Component("hinge"), 2, 1, "raw sigmoid"),
        "one-hot": case("classes", Component(many), 4, 4, "softmax"),
        "one-hot logits": case("classes", Component("CategoricalCrossentropy", LOGITS), 4, 4, "raw softmax"),
        "one-hot sigmoids": case("classes", Component("BinaryCrossentropy", LOGITS), 4, 4, "raw sigmoid"),
        "class numbers": case("classes", Component(sparse), 4, 4, "softmax"),
        "class numbers of logits": case(
            "classes", Component("SparseCategoricalCrossentropy", LOGITS), 4, 4, "raw softmax"
        ),
        "two units": case("classes", Component(sparse), 2, 2, "softmax"),
        "ranks": case("classes", Component("categorical_hinge"), 4, 4, "raw softmax"),
        "labels": case("multi_label", Component(one), 3, 3, "sigmoid"),
        "labels of logits": case("multi_label", Component("BinaryCrossentropy", LOGITS), 3, 3, "raw sigmoid"),
        "labels of scores": case("multi_label", Component("hinge"), 3, 3, "raw sigmoid"),
        "mask": case("masks", Component(one), 2, 1, "sigmoid", (3, 4)),
        "mask logits": case("masks", Component("BinaryCrossentropy", LOGITS), 2, 1, "raw sigmoid", (3, 4)),
        "masks": case("masks", Component(sparse), 4, 4, "softmax", (3, 4)),
        "one-hot masks of logits": case(
            "masks", Component("CategoricalCrossentropy", LOGITS), 4, 4, "raw softmax", (3, 4)
        ),
    }


def yes(c):
    return c.y.ravel().astype(int)


def said(c):
    return (c.p > 0.5).ravel().astype(int)


def f_score(c, beta):
    if c.y.shape[1] > 1 and not c.targets.task.together:
        return sk.fbeta_score(c.numbers, c.p.argmax(1), beta=beta, average="macro")
    return sk.fbeta_score(c.y, c.p > 0.5, beta=beta, average="macro" if c.y.shape[1] > 1 else "binary")


def best(x, y, wanted):
    return y[x >= wanted].max()


def precision_recall(c):
    precision, recall, _ = sk.precision_recall_curve(yes(c), c.p.ravel())
    return precision, recall


def roc(c):
    false, true, _ = sk.roc_curve(yes(c), c.p.ravel(), drop_intermediate=False)
    return 1 - false, true


def cosine(c):
    norm = lambda a: np.maximum(np.linalg.norm(a, axis=1), 1e-6)  # noqa: E731
    return ((c.y * c.p).sum(1) / norm(c.y) / norm(c.p)).mean()


def concordance(y, p):
    """Lin's coefficient."""
    return 2 * np.mean((y - y.mean()) * (p - p.mean())) / (y.var() + p.var() + (y.mean() - p.mean()) ** 2)


def sign(c):
    return 2 * c.y - 1


def log_of_class(c):
    d = c.d / c.d.sum(1, keepdims=True)
    return -np.log(d[np.arange(len(d)), c.numbers]).mean()


def top_two(c):
    return (
        sk.top_k_accuracy_score(c.numbers, c.d, k=2, labels=range(c.targets.classes)) if c.targets.classes > 2 else 1.0
    )


def ious(c):
    return sk.jaccard_score(c.numbers, c.called, labels=range(c.targets.classes), average=None)


def categorical_hinge(c):
    positive = (c.y * c.score).sum(1)
    return np.maximum(((1 - c.y) * c.score).max(1) - positive + 1, 0).mean()


def binary_iou(c):
    y, called = (yes(c), said(c)) if c.targets.task.together else (c.numbers, c.called)
    return sk.jaccard_score(y, called, average=None).mean()


FINE = {"num_thresholds": 4000}
EXPECTED = {
    "AUC": (FINE, lambda c: sk.roc_auc_score(yes(c), c.p.ravel())),
    "BinaryAccuracy": ({}, lambda c: np.mean(yes(c) == said(c))),
    "BinaryCrossentropy": ({}, lambda c: -np.mean(c.y * np.log(c.p) + (1 - c.y) * np.log(1 - c.p))),
    "BinaryIoU": ({}, binary_iou),
    "F1Score": ({"average": "macro"}, lambda c: f_score(c, 1)),
    "FBetaScore": ({"average": "macro", "beta": 2}, lambda c: f_score(c, 2)),
    "TruePositives": ({}, lambda c: np.sum(yes(c) * said(c))),
    "TrueNegatives": ({}, lambda c: np.sum((1 - yes(c)) * (1 - said(c)))),
    "FalsePositives": ({}, lambda c: np.sum((1 - yes(c)) * said(c))),
    "FalseNegatives": ({}, lambda c: np.sum(yes(c) * (1 - said(c)))),
    "Precision": ({"class_id": 0}, lambda c: sk.precision_score(c.y[:, 0], c.p[:, 0] > 0.5)),
    "Recall": ({}, lambda c: sk.recall_score(yes(c), said(c))),
    "PrecisionAtRecall": ({"recall": 0.5, **FINE}, lambda c: best(*precision_recall(c)[::-1], 0.5)),
    "RecallAtPrecision": ({"precision": 0.4, **FINE}, lambda c: best(*precision_recall(c), 0.4)),
    "SensitivityAtSpecificity": ({"specificity": 0.5, **FINE}, lambda c: best(*roc(c), 0.5)),
    "SpecificityAtSensitivity": ({"sensitivity": 0.5, **FINE}, lambda c: best(*roc(c)[::-1], 0.5)),
    "CategoricalAccuracy": ({}, lambda c: np.mean(c.numbers == c.called)),
    "CategoricalCrossentropy": ({}, log_of_class),
    "TopKCategoricalAccuracy": ({"k": 2}, top_two),
    "OneHotIoU": ({"target_class_ids": [1]}, lambda c: ious(c)[1]),
    "OneHotMeanIoU": ({}, lambda c: ious(c).mean()),
    "KLDivergence": ({}, lambda c: -np.log(c.d[np.arange(len(c.d)), c.numbers]).mean()),
    "SparseCategoricalAccuracy": ({}, lambda c: np.mean(c.numbers == c.called)),
    "SparseCategoricalCrossentropy": ({}, log_of_class),
    "SparseTopKCategoricalAccuracy": ({"k": 2}, top_two),
    "Accuracy": (
        {},
        lambda c: np.mean(yes(c) == said(c)) if c.targets.task.together else np.mean(c.numbers == c.called),
    ),
    "accuracy": (
        {},
        lambda c: np.mean(yes(c) == said(c)) if c.targets.task.together else np.mean(c.numbers == c.called),
    ),
    "IoU": ({"target_class_ids": [0]}, lambda c: ious(c)[0]),
    "MeanIoU": ({"sparse_y_pred": False}, lambda c: ious(c).mean()),
    "Hinge": ({}, lambda c: np.maximum(1 - sign(c) * c.score, 0).mean()),
    "SquaredHinge": ({}, lambda c: (np.maximum(1 - sign(c) * c.score, 0) ** 2).mean()),
    "CategoricalHinge": ({}, categorical_hinge),
    "MeanAbsoluteError": ({}, lambda c: sk.mean_absolute_error(c.y, c.p)),
    "MeanAbsolutePercentageError": ({}, lambda c: 100 * np.mean(np.abs(c.y - c.p) / np.maximum(c.y, 1e-7))),
    "MeanSquaredError": ({}, lambda c: sk.mean_squared_error(c.y, c.p)),
    "MeanSquaredLogarithmicError": ({}, lambda c: sk.mean_squared_log_error(c.y, c.p)),
    "RootMeanSquaredError": ({}, lambda c: sk.root_mean_squared_error(c.y.ravel(), c.p.ravel())),
    "LogCoshError": ({}, lambda c: np.log(np.cosh(c.p - c.y)).mean()),
    "R2Score": ({}, lambda c: sk.r2_score(c.y, c.p)),
    "Poisson": ({}, lambda c: np.mean(c.p - c.y * np.log(c.p))),
    "CosineSimilarity": ({}, cosine),
    "ConcordanceCorrelation": ({}, lambda c: np.mean([concordance(*rows) for rows in zip(c.y, c.p, strict=True)])),
    "PearsonCorrelation": ({}, lambda c: np.mean([pearsonr(*rows)[0] for rows in zip(c.y, c.p, strict=True)])),
}


PROBABILITIES = {
    *("BinaryCrossentropy", "CategoricalCrossentropy"),
    *("SparseCategoricalCrossentropy", "KLDivergence"),
    *(name for name, compares in COMPARES.items() if compares == "numbers"),
}
HINGES = {"Hinge", "SquaredHinge", "CategoricalHinge"}
CORRELATIONS = {"ConcordanceCorrelation", "PearsonCorrelation"}
OF_A_CLASS = {name for name in COMPARES if "Categorical" in name or "IoU" in name or name == "KLDivergence"} - {
    "BinaryIoU"
}
YES_OR_NO = {name for name, compares in COMPARES.items() if compares == "yes or no"}


def refused(name: str) -> set[str]:
    """What has no meaning in a case."""
    found = set()
    if name in ("one score", "ranks", "labels of scores"):
        found |= PROBABILITIES
    elif "logit" not in name and "sigmoids" not in name:
        found |= HINGES
    if name == "ranks":
        found |= YES_OR_NO - {"F1Score", "FBetaScore"}
    if name.startswith("one ") or name in ("mask", "mask logits"):
        found |= CORRELATIONS | {"CategoricalHinge"}
    if name.startswith("labels"):
        found |= OF_A_CLASS
    elif not (name.startswith("one ") or name in ("mask", "mask logits", "two units")):
        found |= {"BinaryIoU"}
    return found


CASES = cases()


@pytest.mark.parametrize("metric", EXPECTED)
@pytest.mark.parametrize("name", CASES)
def test_a_metric_gets_what_it_is_written_for_or_is_refused(name, metric):
    c, (arguments, expected) = CASES[name], EXPECTED[metric]
    if metric in ("IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"):
        arguments = {**arguments, "num_classes": c.targets.classes}
    if metric in refused(name):
        with pytest.raises(ModelError, match=f"compile.metrics: {metric} "):
            c.targets.task.metric(Component(metric, arguments), "m", c.targets)
        return
    if metric in CORRELATIONS and (c.y.std(1) == 0).any():
        pytest.skip("the coefficient of a row of equal numbers is not defined")
    built = c.targets.task.metric(Component(metric, arguments), "m", c.targets)
    half = len(c.labels) // 2
    for part in (slice(0, half), slice(half, None)):
        built.update_state(c.targets.encode(c.labels[part]), c.outputs[part])
    # 4,000 thresholds and two batches of one size: what is left is their grid, and float32.
    tolerance = 2e-2 if "num_thresholds" in arguments else 2e-5
    assert float(built.result()) == pytest.approx(float(expected(c)), rel=tolerance, abs=tolerance)


def test_every_metric_of_keras_has_its_row():
    plain = {name for name in names("metrics") if not refusal("metrics", name)}
    assert set(EXPECTED) - {"accuracy"} == set(COMPARES)
    assert plain - set(COMPARES) == set()


@pytest.mark.parametrize(
    ("arguments", "loss", "sentence"),
    [
        ({"MeanIoU": {"num_classes": 3}}, "categorical_crossentropy", "has num_classes: 3, but there are 4"),
        (
            {"AUC": {"multi_label": True, "num_labels": 3}},
            "categorical_crossentropy",
            "has num_labels: 3, but there are 4",
        ),
        (
            {"Precision": {"class_id": 4}},
            "categorical_crossentropy",
            "has the class 4, but they are numbered from 0 to 3",
        ),
        (
            {"MeanIoU": {"num_classes": 4, "axis": 0}},
            "categorical_crossentropy",
            "has axis: 0, but the classes are along",
        ),
        (
            {"CategoricalCrossentropy": {"axis": 0}},
            "categorical_crossentropy",
            "has axis: 0, but the classes are along",
        ),
        ({"Precision": {"top_k": 5}}, "categorical_crossentropy", "has top_k: 5, but there are 4"),
        (
            {"SparseTopKCategoricalAccuracy": {"k": 2, "from_sorted_ids": True}},
            "categorical_crossentropy",
            "but no network gives them",
        ),
        (
            {"AUC": {"multi_label": True, "label_weights": [1, 2]}},
            "categorical_crossentropy",
            "has 2 label_weights, but there are 4",
        ),
        (
            {"AUC": LOGITS},
            "categorical_crossentropy",
            "told from_logits: true, but the network's outputs are probabilities",
        ),
    ],
)
def test_an_argument_that_contradicts_the_classes_is_refused(arguments, loss, sentence):
    targets = CASES["one-hot"].targets
    ((name, given),) = arguments.items()
    with pytest.raises(ModelError, match=sentence):
        targets.task.metric(Component(name, given), "m", targets)


@pytest.mark.parametrize(
    ("metric", "arguments"),
    [
        ("BinaryAccuracy", {"threshold": 0}),
        ("BinaryIoU", {"threshold": 0.0}),
        ("Precision", {"thresholds": 0}),
        ("Recall", {"thresholds": [0.0]}),
        ("TruePositives", {"thresholds": 0.0}),
    ],
)
@pytest.mark.parametrize("name", ["one logit", "one score", "labels of logits", "mask logits"])
def test_the_threshold_of_logits_is_not_that_of_their_probabilities(name, metric, arguments):
    targets = CASES[name].targets
    with pytest.raises(ModelError, match=f"{metric} counts above .* a half where they are 0: leave the threshold out"):
        targets.task.metric(Component(metric, arguments), "m", targets)


@pytest.mark.parametrize(("activation", "units"), [("linear", 1), ("relu", 1), ("tanh", 1), ("linear", 4)])
def test_outputs_that_are_no_probabilities_are_not_measured_as_such(activation, units):
    task = task_named("classes")
    targets = task.agreed(Component("mean_squared_error" if units > 1 else "hinge"), max(2, units), units, activation)
    for metric in ("AUC", "DiceCoef", "BinaryCrossentropy", "KLDivergence") if units > 1 else ("DiceCoef",):
        with pytest.raises(ModelError, match=f"{metric} compares probabilities"):
            task.metric(Component(metric), "m", targets)
    built = task.metric(Component("Precision"), "m", targets)
    y, p = np.eye(units)[[0, 1, 2, 3]] if units > 1 else np.array([[0.0], [1.0], [1.0], [0.0]]), None
    p = y * 1.5 - 0.3
    p[0] = 7
    built.update_state(y, p)
    least = 0.5 if units > 1 else 0.0
    assert float(built.result()) == pytest.approx(sk.precision_score(y.ravel(), (p > least).ravel()))


@pytest.mark.parametrize("metric", ["BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy"])
@pytest.mark.parametrize("name", ["one unit", "one-hot", "class numbers", "labels", "mask", "masks"])
def test_the_logits_that_keras_leaves_on_a_tensor_are_those_of_its_activation(name, metric):
    import keras

    c = CASES[name]
    if metric in refused(name):
        return
    activation = keras.ops.sigmoid if c.targets.units == 1 or c.targets.task.together else keras.ops.softmax
    outputs = activation(c.score.reshape(c.outputs.shape))  # as the last layer makes them
    built = c.targets.task.metric(Component(metric), "m", c.targets)
    built.update_state(c.targets.encode(c.labels), outputs)
    assert float(built.result()) == pytest.approx(float(EXPECTED[metric][1](c)), rel=1e-4)


@pytest.mark.parametrize("given", [{}, LOGITS])
@pytest.mark.parametrize("metric", ["AUC", "BinaryCrossentropy"])
def test_from_logits_on_the_metric_too_changes_nothing(metric, given):
    c = CASES["one logit"]
    built = c.targets.task.metric(Component(metric, given), "m", c.targets)
    built.update_state(c.targets.encode(c.labels), c.outputs)
    assert float(built.result()) == pytest.approx(EXPECTED[metric][1](c), rel=1e-2)


def test_tversky_weights_false_positives_by_alpha():
    """It fails when Keras has mended its own: then `build` must no longer exchange the two."""
    from kerasrun.keras_objects import build

    only_false_positives = [[0.0, 0.0, 1.0]], [[1.0, 1.0, 1.0]]
    for weights, expected in (({"alpha": 1.0, "beta": 0.0}, 2 / 3), ({"alpha": 0.0, "beta": 1.0}, 0.0)):
        loss = build("losses", Component("Tversky", weights))
        assert float(loss(*only_false_positives)) == pytest.approx(expected, abs=1e-5)


MIXED = [
    (name, metric)
    for name in ("one unit", "one logit", "one-hot", "one-hot logits", "labels", "labels of logits")
    for metric in EXPECTED
    if metric not in refused(name) | CORRELATIONS and metric not in PROBABILITIES
]
"""Metrics that count whole classes: those that compare numbers or logarithms take all shares."""


@pytest.mark.parametrize(("name", "metric"), MIXED)
def test_a_mixed_example_counts_as_its_largest_share(name, metric):
    c, (arguments, expected) = CASES[name], EXPECTED[metric]
    if metric in ("IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"):
        arguments = {**arguments, "num_classes": c.targets.classes}
    whole = c.targets.encode(c.labels)
    columns = whole.shape[1]
    # With at most 0.4 of others, what was the largest stays so.
    others = np.full_like(whole, 1 / columns) if name.startswith("one-hot") else 1 - whole
    share = np.random.default_rng(2).uniform(0, 0.4, (len(whole), 1)).astype(np.float32)
    built = c.targets.task.metric(Component(metric, arguments), "m", replace(c.targets, mixed=True))
    built.update_state((1 - share) * whole + share * others, c.outputs)
    tolerance = 2e-2 if "num_thresholds" in arguments else 2e-5
    assert float(built.result()) == pytest.approx(float(expected(c)), rel=tolerance, abs=tolerance)


def test_a_cross_entropy_takes_all_shares():
    c = CASES["one-hot"]
    shares = np.random.default_rng(2).dirichlet(np.ones(4), len(c.labels)).astype(np.float32)
    built = c.targets.task.metric(Component("categorical_crossentropy"), "m", replace(c.targets, mixed=True))
    built.update_state(shares, c.outputs)
    assert float(built.result()) == pytest.approx(-np.mean((shares * np.log(c.p)).sum(1)), rel=1e-5)
