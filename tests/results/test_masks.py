"""From masks to scores, pictures and files, with a source that exists for these tests alone."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

import kerasrun
from kerasrun.errors import DataError
from kerasrun.experiment import fields
from kerasrun.models.layers import Layers
from kerasrun.reading.data import Data, ImageFormat, Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.sources.base import Source
from tests.grids import rest_is_long

pytestmark = pytest.mark.tensorflow


class Bright(Source):
    """Noise; the class of a pixel is how bright it is."""

    kind = "bright"
    count: int = 2
    """How many classes."""

    @property
    def label_kind(self):
        return "masks"

    def open(self):
        images = np.random.default_rng(1).integers(0, 256, (70, 16, 16, 1), np.uint8)
        masks = (images // (256 // self.count + 1)).astype(np.uint8)
        splits = {
            name: Split(name, ArrayInputs(images[part]), ArrayInputs(masks[part]))
            for name, part in {"train": slice(0, 50), "test": slice(50, 70)}.items()
        }
        names = tuple("abc"[: self.count])
        digest = hashlib.sha256(images.tobytes()).hexdigest()
        return Data(splits, names, ImageFormat(16, 16, "grayscale"), digest, "masks")


@pytest.fixture(scope="module", params=rest_is_long([3, 2]))
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    known = {"kerasrun.sources": {"bright": Bright}, "kerasrun.models": {"layers": Layers}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fields, "kinds", lambda package: known[package])
        file = folder / "bright.yaml"
        file.write_text(
            f"data: {{bright: {{count: {request.param}}}}}\nfit: {{epochs: 2, batch_size: 8}}\n"
            "model: {layers: [Conv2D: {filters: 4, kernel_size: 1, activation: relu}]}\n"
        )
        yield kerasrun.train(file, output=folder / "runs")


@pytest.mark.long
def test_areas_are_measured_and_drawn(run):
    report = kerasrun.evaluate(run)
    assert report.scores.pixel_accuracy == pytest.approx(report.metrics["accuracy"], abs=1e-6)
    assert sum(score.pixels for score in report.scores.classes) == 20 * 16 * 16
    assert len(report.scores.overlays) == 6
    assert (run.plots / "overlays_test.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(run.evaluation("test").read_text())["mean_iou"] == report.scores.headline["mean_iou"]


def test_predicted_masks_are_those_that_were_measured(run, tmp_path):
    masks, scores = Bright(count=len(run.read_run()["classes"])).open().splits["test"], kerasrun.evaluate(run).scores
    for number, image in enumerate(masks.inputs.array[..., 0]):
        Image.fromarray(image).save(tmp_path / f"{number:02}.png")
    found = kerasrun.predict([tmp_path], model=run.best_model, masks=tmp_path / "out")
    right = 0
    for one, true in zip(found, masks.labels.array[..., 0], strict=True):
        with Image.open(one.mask) as mask:
            right += np.sum(np.asarray(mask) // (255 if len(scores.classes) == 2 else 1) == true)
    assert right / masks.labels.array.size == scores.pixel_accuracy


def test_a_model_of_masks_is_exported_as_any_other(run, tmp_path):
    assert kerasrun.export(run, "h5", output=tmp_path / "a.h5").difference == 0


def test_class_folders_are_refused(run, tmp_path):
    with pytest.raises(DataError, match="--data reads class folders"):
        kerasrun.evaluate(run, data=tmp_path)
