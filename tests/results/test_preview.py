"""The picture of what training sees."""

import numpy as np
import pytest
from PIL import Image

import kerasrun
from kerasrun.engine.prepared import prepare
from kerasrun.errors import DataError, UsageError
from kerasrun.experiment.load import load
from kerasrun.results import preview

pytestmark = pytest.mark.tensorflow
ROTATED = "augmentation: {ImageDataGenerator: {rotation_range: 30, rescale: 1./127.5, samplewise_center: true}}\n"


@pytest.fixture
def experiment(tmp_path, png):
    """Write an experiment on the digits with this text added."""

    def write(text="", data=f"{{directory: {{path: {png}, color_mode: grayscale}}}}"):
        file = tmp_path / "small.yaml"
        model = "{layers: [{Conv2D: {filters: 2, kernel_size: 1}}]}"
        file.write_text(f"data: {data}\nmodel: {model}\nfit: {{batch_size: 6}}\n{text}", encoding="utf-8")
        return file

    return write


@pytest.fixture
def pairs(png):
    return f"{{image_masks: {{path: {png.parents[1] / 'digit_masks'}, color_mode: grayscale}}}}"


def test_the_picture_is_named_after_the_experiment(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kerasrun.preview(experiment(), count=3).name == "small-preview.png"
    with Image.open(tmp_path / "small-preview.png") as picture:
        assert picture.format == "PNG"
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_its_examples_are_what_the_first_steps_train_on(experiment, monkeypatch):
    """Two batches are taken, for nine examples of six in a batch."""
    from kerasrun.engine.steps import FusedSteps

    file = experiment(ROTATED)
    images, labels = preview._first_examples(prepare(load(file)), 9)
    assert images.shape == (9, 32, 32, 1)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    trained = []

    def note(self, batches, steps):
        trained.extend(next(batches) for _ in range(2))
        raise KeyboardInterrupt

    monkeypatch.setattr(FusedSteps, "__call__", note)
    with pytest.raises(KeyboardInterrupt):
        kerasrun.train(file, output=file.parent / "runs")
    x, y = (np.concatenate([batch[place].numpy() for batch in trained])[:9] for place in (0, 1))
    x = x / 127.5
    np.testing.assert_allclose(images, x - x.mean(axis=(1, 2, 3), keepdims=True), atol=1e-5)
    assert labels.tolist() == y.argmax(axis=1).tolist()


def test_each_example_has_the_name_of_its_file(experiment, monkeypatch):
    figures = []
    monkeypatch.setattr(preview, "draw", lambda figure, file, **options: (figures.append(figure), file.touch()))
    prepared = prepare(load(file := experiment()))
    kerasrun.preview(file, output=file.parent / "a.png", count=5)
    labels = [(axes.get_title(), axes.texts[0].get_text().lstrip("…")) for axes in figures[0].axes if axes.images]
    assert len(labels) == 5
    for true, name in labels:
        (whole,) = (one for one in prepared.train.names if one.endswith(name))
        assert whole.split("/")[-2] == true


@pytest.mark.long
def test_a_mixed_example_has_the_shares_of_its_classes(experiment, monkeypatch):
    """As training has them, the largest first."""
    from kerasrun.engine.building import build_job
    from kerasrun.engine.prepared import start_device
    from kerasrun.training.computation import Computation

    figures = []
    monkeypatch.setattr(preview, "draw", lambda figure, file, **options: (figures.append(figure), file.touch()))
    prepared = prepare(load(file := experiment("augmentation: [MixUp: {alpha: 1}]\n")))
    kerasrun.preview(file, output=file.parent / "a.png", count=9)
    job = build_job(prepared, start_device(prepared.experiment), pretrained=False)
    batches = Computation(job).batches(0)
    shares = np.concatenate([next(batches)[1].numpy() for _ in range(2)])[:9]
    titles = [axes.get_title() for axes in figures[0].axes if axes.images]
    assert sum("\n" in title for title in titles) > 3
    for title, row in zip(titles, shares, strict=True):
        second, first = np.sort(row)[-2:]
        names = [prepared.data.classes[place] for place in (-row).argsort()[:2]]
        lines = [f"{first:.0%} {names[0]}", f"{second:.0%} {names[1]}"]
        assert title.split("\n") == lines[: 1 + (second >= 0.005)]


@pytest.mark.long
def test_masks_are_laid_over_their_images(experiment, pairs, tmp_path):
    plain = np.asarray(
        Image.open(kerasrun.preview(experiment(), output=tmp_path / "plain.png", count=2)).convert("RGB")
    )
    masked = Image.open(kerasrun.preview(experiment(data=pairs), output=tmp_path / "masked.png", count=2)).convert(
        "RGB"
    )
    assert np.ptp(plain.astype(int), axis=-1).max() == 0
    assert np.ptp(np.asarray(masked).astype(int), axis=-1).max() > 100


def test_what_is_no_image_is_not_shown(experiment, tmp_path):
    np.savez(tmp_path / "rows.npz", x_train=np.ones((6, 4)), y_train=np.arange(6) % 2)
    file = experiment(data=f"{{npz: {{path: {tmp_path / 'rows.npz'}}}}}")
    with pytest.raises(DataError, match=r"an example has the shape \(4,\)"):
        kerasrun.preview(file)


def test_a_picture_of_another_kind_is_refused(experiment):
    with pytest.raises(UsageError, match=r"a\.jpg: the picture is a PNG file"):
        kerasrun.preview(experiment(), output="a.jpg")


def test_every_kind_of_label_has_words():
    from matplotlib.figure import Figure

    from kerasrun.tasks.base import task_named

    def label(kind, value):
        axes = Figure().subplots()
        task_named(kind).draw(axes, value, ("left", "right", "a name of very many letters"))
        return axes.get_title()

    assert label("classes", np.int64(1)) == "right"
    assert label("classes", np.int64(2)) == "a name of very many…"
    assert label("multi_label", np.array([1, 0, 1])) == "left, a name of ver…"
    assert label("multi_label", np.array([0, 0, 0])) == "none"
    assert label("numbers", np.array([0.25, 3.0, -1.5])) == "0.25, 3, -1.5"
