"""The Dice coefficient is that of the tutorials: smoothed, over the flattened batch."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)
NUMBERS = RNG.integers(0, 3, (2, 4, 4))
ONE_HOT = np.eye(3, dtype=np.float32)[NUMBERS]
SHARES = RNG.dirichlet([1, 1, 1], (2, 4, 4)).astype(np.float32)
ONE_CHANNEL, SIGMOID = ONE_HOT[..., :1], SHARES[..., :1]


def by_hand(y_true, y_pred, smooth=1):
    """`dice_coef` as tutorials write it."""
    y_true, y_pred = y_true.ravel(), y_pred.ravel()
    return (2 * np.sum(y_true * y_pred) + smooth) / (np.sum(y_true) + np.sum(y_pred) + smooth)


def measured(y_true, y_pred, **arguments):
    from kerasrun.dice import DiceCoef

    metric = DiceCoef(**arguments)
    metric.update_state(y_true, y_pred)
    return float(metric.result())


@pytest.mark.parametrize(
    ("y_true", "y_pred", "arguments", "expected"),
    [
        (ONE_CHANNEL, SIGMOID, {}, by_hand(ONE_CHANNEL, SIGMOID)),
        (ONE_CHANNEL[..., 0], SIGMOID, {}, by_hand(ONE_CHANNEL, SIGMOID)),
        (ONE_CHANNEL, np.log(SIGMOID / (1 - SIGMOID)), {"from_logits": True}, by_hand(ONE_CHANNEL, SIGMOID)),
        (ONE_CHANNEL, SIGMOID, {"class_id": 0}, by_hand(1 - ONE_CHANNEL, 1 - SIGMOID)),
        (ONE_HOT, SHARES, {"smooth": 0.5}, by_hand(ONE_HOT, SHARES, 0.5)),
        (NUMBERS, SHARES, {}, by_hand(ONE_HOT, SHARES)),
        (NUMBERS, np.log(SHARES), {"from_logits": True}, by_hand(ONE_HOT, SHARES)),
        (NUMBERS, SHARES, {"class_id": 2}, by_hand(ONE_HOT[..., 2], SHARES[..., 2])),
        (np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 1)), {}, 1),
    ],
)
def test_masks_of_any_form_are_measured_as_by_hand(y_true, y_pred, arguments, expected):
    assert measured(y_true, y_pred, **arguments) == pytest.approx(expected, rel=1e-5)


def test_batches_are_averaged():
    from kerasrun.dice import DiceCoef

    metric = DiceCoef()
    metric.update_state(ONE_HOT, ONE_HOT)
    metric.update_state(ONE_HOT, np.zeros_like(ONE_HOT))
    assert float(metric.result()) == pytest.approx((1 + 1 / 33) / 2)


def test_the_loss_is_what_is_missing_to_one():
    from kerasrun.dice import DiceLoss

    assert float(DiceLoss(class_id=1)(NUMBERS, SHARES)) == pytest.approx(1 - measured(NUMBERS, SHARES, class_id=1))


def test_both_come_back_from_their_configuration():
    import keras

    from kerasrun.dice import DiceCoef, DiceLoss

    for given in (DiceCoef(smooth=2, class_id=1, name="road"), DiceLoss(smooth=2, class_id=1)):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(given))
        assert type(again) is type(given)
        assert again.get_config() == given.get_config()


@pytest.mark.long
def test_an_experiment_names_them_like_keras_s_own(tmp_path):
    """From the text to the values of training, evaluation and the best model."""
    import kerasrun
    from tests.training.conftest import DIGITS

    file = tmp_path / "dice.yaml"
    file.write_text(
        f"data: {{npz: {{path: {DIGITS}}}}}\nmodel: {{MLP: {{units: [16]}}}}\n"
        "compile:\n"
        "  loss: {dice_loss: {smooth: 0.5}}\n"
        "  metrics: [dice_coef, DiceCoef: {class_id: '7', name: sevens}]\n"
        "fit: {epochs: 3, batch_size: 100, validation_split: 0.1}\n"
        "checkpoint: {monitor: val_dice_coef}\n"
        "callbacks: [EarlyStopping: {monitor: val_sevens, patience: 3}]\n"
    )
    run = kerasrun.train(file, output=tmp_path)
    assert kerasrun.load(run.resolved_file).experiment.compile.metrics[1].arguments["class_id"] == 7
    header, *rows = (line.split(",") for line in run.metrics_file.read_text().splitlines())
    values = [float(row[header.index("val_dice_coef")]) for row in rows]
    best = {"monitor": "val_dice_coef", "value": max(values), "epoch": values.index(max(values)) + 1}
    assert run.read_run()["best"] == best
    assert kerasrun.evaluate(run, split="validation").metrics["dice_coef"] == pytest.approx(max(values), rel=1e-6)
