"""A U-Net's images and masks in arrays: the same bits as from files of the same pixels, exact, and predicted."""

import json

import h5py
import numpy as np
import pytest
from PIL import Image

import kerasrun
from kerasrun.errors import DataError
from kerasrun.reading.memory import kept_within
from kerasrun.results.prediction import predict
from kerasrun.sources.hdf5 import Hdf5
from kerasrun.sources.image_masks import ImageMasks
from kerasrun.sources.npy import Npy
from kerasrun.sources.npz import Npz
from tests.training.exactness import variables_digest
from tests.training.whole_and_cut import train_whole_and_cut

EXPERIMENT = """
data: {hdf5: {path: cells.h5, labels: masks, classes: [background, cell]}}
model: {layers: [Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu}, Dropout: {rate: 0.2}]}
compile: {metrics: [accuracy, DiceCoef]}
fit: {epochs: 3, batch_size: 7, validation_data: test}
checkpoint: {monitor: val_dice_coef}
"""


@pytest.fixture
def folder(tmp_path):
    """Write pictures with bright squares, and their masks, as files and as arrays."""
    random = np.random.default_rng(3)
    arrays = {}
    for split, count in (("train", 20), ("test", 6)):
        x = random.integers(0, 120, (count, 16, 12), dtype=np.uint8)
        y = np.zeros_like(x)
        for place in range(count):
            top, left = random.integers(0, 8, 2)
            y[place, top : top + 7, left : left + 4] = 255
        x[y > 0] += 100
        arrays |= {f"x_{split}": x, f"y_{split}": y}
        for kind, pictures in (("images", x), ("masks", y)):
            (tmp_path / "files" / split / kind).mkdir(parents=True)
            for place, picture in enumerate(pictures):
                Image.fromarray(picture).save(tmp_path / "files" / split / kind / f"{place:02}.png")
    np.savez(tmp_path / "cells.npz", **arrays)
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
            np.save(tmp_path / f"{name}.npy", array)
    return tmp_path


def everything(inputs):
    return inputs.take(np.arange(len(inputs)))


@pytest.mark.parametrize("size", [None, (8, 6)])
def test_every_kind_of_arrays_gives_the_masks_that_files_of_the_same_pixels_give(folder, size):
    fields = {"image_size": size, "classes": ["background", "cell"]}
    names = {f"{axis}_{split}": folder / f"{axis}_{split}.npy" for axis in "xy" for split in ("train", "test")}
    files = ImageMasks(path=folder / "files", color_mode="grayscale", **fields).open()
    fields["labels"] = "masks"
    kinds = [Npz(path=folder / "cells.npz", **fields), Hdf5(path=folder / "cells.h5", **fields), Npy(**names, **fields)]
    for source in kinds:
        for memory in (10**6, 0):
            with kept_within(memory):
                data = source.open()
            assert (data.classes, data.label_kind) == (files.classes, "masks")
            assert data.fingerprint == kinds[0].open().fingerprint
            for name, split in files.splits.items():
                np.testing.assert_array_equal(everything(data.splits[name].inputs), everything(split.inputs))
                np.testing.assert_array_equal(everything(data.splits[name].labels), everything(split.labels))


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (np.zeros((3, 4, 5)), "the masks have the values 0, but two classes or more are needed"),
        (np.full((3, 4, 4), 1), r"expected masks of shape \(3, 4, 5\)"),
        (np.full((3, 4, 5), 0.5), "holds 0.5; expected masks of whole numbers"),
        (np.full((3, 4, 5), np.nan), "holds nan; expected masks of whole numbers"),
        (np.full((3, 4, 5), 300), "holds 300; expected masks of whole numbers"),
        (np.arange(60).reshape(3, 4, 5) % 2 * 7, "values 0, 7; expected 0 and 255, or class numbers"),
    ],
)
def test_what_is_no_mask_is_told_with_the_name_of_the_array(tmp_path, masks, words):
    np.savez(tmp_path / "a.npz", x_train=np.zeros((3, 4, 5), np.uint8), y_train=masks)
    with pytest.raises(DataError, match=f"y_train: .*{words}"):
        Npz(path=tmp_path / "a.npz", labels="masks").open()


def test_masks_without_their_key_are_told_of_it(folder):
    with pytest.raises(DataError, match="for a class for each pixel set `labels: masks`"):
        Npz(path=folder / "cells.npz").open()


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_run_on_one_hdf5_file_is_exact_and_has_the_bits_of_one_on_files(folder):
    train_whole_and_cut(folder, EXPERIMENT)
    whole, cut = kerasrun.open_run(folder / "whole" / "run-1"), kerasrun.resume(folder / "cut" / "run-1")
    of_files = EXPERIMENT.replace(
        "hdf5: {path: cells.h5, labels: masks,", "image_masks: {path: files, color_mode: grayscale,"
    )
    (folder / "run.yaml").write_text(of_files)
    files = kerasrun.train(folder / "run.yaml", output=folder / "of_files")
    (folder / "run.yaml").write_text(EXPERIMENT)
    on_demand = kerasrun.train(folder / "run.yaml", overrides=["cache.memory=0"], output=folder / "on_demand")
    for run in (cut, files, on_demand):
        assert variables_digest(run.last_model) == variables_digest(whole.last_model)
        assert run.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    report = kerasrun.evaluate(cut, last=True)
    predictions = predict(folder / "x_test.npy", model=cut.last_model, masks=folder / "found")
    called = np.stack([np.asarray(Image.open(one.mask)) for one in predictions]) > 0
    true = np.load(folder / "y_test.npy") > 0
    assert [one.mask for one in predictions][:1] == [str(folder / "found" / "x_test_0.png")]
    dice = 2 * (called & true).sum() / (called.sum() + true.sum())
    assert report.as_dict()["classes"][1]["dice"] == pytest.approx(dice)
    assert json.loads(report.to_json())["pixel_accuracy"] == pytest.approx((called == true).mean())


def test_a_file_of_images_and_masks_is_recognized(folder):
    arrays = dict(np.load(folder / "cells.npz"))
    np.savez(folder / "odd.npz", **{name: array[:, :15] for name, array in arrays.items()})
    for name, keys in (("cells.npz", {}), ("odd.npz", {"image_size": [12, 12]})):
        found = Npz.recognize(folder / name)
        assert (found.label_kind, found.keys) == ("masks", {"labels": "masks", **keys})


VOID = np.array([[[0, 1, 2, 255], [1, 1, 2, 0]], [[2, 255, 0, 0], [0, 1, 2, 2]]], np.uint8)


def masks_of(folder, masks, **fields):
    """Return the class numbers of two masks, and the names of the classes."""
    np.savez(folder / "a.npz", x_train=np.zeros((2, 2, 4), np.uint8), y_train=masks)
    numbers = []
    for memory in (10**6, 0):
        with kept_within(memory):
            data = Npz(path=folder / "a.npz", labels="masks", **fields).open()
        numbers.append(everything(data.splits["train"].labels)[..., 0].tolist())
    assert numbers[0] == numbers[1]
    return numbers[0], data.classes


def test_values_and_classes_of_arrays_may_be_ignored(tmp_path):
    assert masks_of(tmp_path, VOID, ignore=[255]) == (VOID.tolist(), ("0", "1", "2"))
    without = np.select([VOID == 0, VOID == 1, VOID == 2], [0, 255, 1], 255).tolist()
    names = {"classes": ["ground", "void", "cat"]}
    assert masks_of(tmp_path, VOID, ignore=["void", 255], **names) == (without, ("ground", "cat"))
    assert Npz(path=tmp_path / "a.npz", labels="masks", ignore=["void"], **names).listed_classes == ("ground", "cat")
    assert masks_of(tmp_path, VOID, ignore=[1, 255]) == (without, ("0", "2"))
    with pytest.raises(DataError, match=r"values 0, 1, 2, 255; expected .* or `ignore: \[255\]` for pixels"):
        masks_of(tmp_path, VOID)
    with pytest.raises(DataError, match="`ignore` names 'dog', which is not one of `classes`"):
        masks_of(tmp_path, VOID, ignore=["dog"])


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.float32])
def test_one_hot_masks_are_those_of_class_numbers(tmp_path, dtype):
    one_hot = (VOID[..., np.newaxis] == np.arange(3)).astype(dtype)
    assert masks_of(tmp_path, one_hot, ignore=[255]) == (VOID.tolist(), ("0", "1", "2"))
    named = masks_of(tmp_path, one_hot, ignore=[255], classes=["a", "b", "c"])
    assert named == (VOID.tolist(), ("a", "b", "c"))
    with pytest.raises(DataError, match="not one-hot: expected a single 1 among zeros, or only 0"):
        masks_of(tmp_path, one_hot + np.eye(3, dtype=dtype)[0] if dtype != np.bool_ else one_hot | True)


@pytest.mark.long
@pytest.mark.tensorflow
def test_ignored_pixels_of_arrays_are_left_out_of_loss_and_metrics(folder):
    arrays = dict(np.load(folder / "cells.npz"))
    arrays["y_test"][:, :3] = arrays["y_train"][:, ::5] = 7
    np.savez(folder / "void.npz", **{name: np.where(one == 255, 1, one) for name, one in arrays.items()})
    text = EXPERIMENT.replace(
        "hdf5: {path: cells.h5, labels: masks,", "npz: {path: void.npz, labels: masks, ignore: [7],"
    )
    (folder / "run.yaml").write_text(
        text.replace("accuracy, DiceCoef", "accuracy").replace("val_dice_coef", "val_loss")
    )
    run = kerasrun.train(folder / "run.yaml", output=folder / "void")
    report = kerasrun.evaluate(run, last=True)
    import keras

    made = keras.saving.load_model(run.last_model, compile=False).predict(arrays["x_test"][..., None] / 1.0, verbose=0)
    seen = arrays["y_test"] != 7
    true, found = arrays["y_test"][seen] == 255, made[..., 0][seen]
    assert report.metrics["accuracy"] == pytest.approx((true == (found > 0.5)).mean(), abs=1e-6)
    assert report.scores.pixel_accuracy == pytest.approx((true == (found > 0.5)).mean(), abs=1e-6)
