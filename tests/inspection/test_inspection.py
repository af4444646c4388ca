"""What a look at data finds, and what it does not."""

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from typer.testing import CliRunner

from kerasrun.cli import app
from kerasrun.errors import DataError
from kerasrun.inspection.examples import perceptual_hashes
from kerasrun.inspection.findings import gives_away, trained_and_validated
from kerasrun.inspection.inspection import inspect
from kerasrun.inspection.page import write_page
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs


def photo(seed):
    """A smooth picture of 96×96 that looks like no other one."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path):
    """Twelve pictures of each class to train, and four to validate; nothing is wrong with them."""
    for seed, (split, name, count) in enumerate(
        [("train", "cat", 12), ("train", "dog", 12), ("val", "cat", 4), ("val", "dog", 4)]
    ):
        folder = tmp_path / "photos" / split / name
        folder.mkdir(parents=True)
        for place in range(count):
            photo(100 * seed + place).save(folder / f"{place}.png")
    return tmp_path / "photos"


def found(path):
    """The groups of each finding, by its kind, as sets of the names of files without their folders."""
    return {
        one.kind: {frozenset(Path(name.split(":")[0]).name for name in group) for group in one.groups}
        for one in inspect(path).findings
    }


def test_nothing_is_found_in_sound_photos(photos):
    assert found(photos) == {}


def test_every_planted_fault_is_found_and_nothing_else(photos):
    train, val = photos / "train", photos / "val"
    for place in range(3):
        (val / "cat" / f"copy{place}.png").write_bytes((train / "cat" / f"{place}.png").read_bytes())
    (train / "dog" / "other.png").write_bytes((train / "cat" / "5.png").read_bytes())
    photo(6).resize((40, 40), Image.Resampling.BILINEAR).save(train / "cat" / "small.png")
    photo(7).save(val / "cat" / "again.jpg", quality=40)
    (train / "cat" / "phone.heic").write_bytes(b"ftypheic")
    (train / "cat" / "half.png").write_bytes((train / "cat" / "8.png").read_bytes()[:2000])
    Image.new("RGB", (96, 96), (9, 99, 200)).save(train / "dog" / "blue.png")
    assert found(photos) == {
        "duplicates_across_splits": {frozenset({f"{place}.png", f"copy{place}.png"}) for place in range(3)},
        "duplicates_with_other_labels": {frozenset({"5.png", "other.png"})},
        "near_duplicates_across_splits": {frozenset({"7.png", "again.jpg"})},
        "near_duplicates": {frozenset({"6.png", "small.png"})},
        "damaged": {frozenset({"half.png"})},
        "passed_over": {frozenset({"phone.heic"})},
        "blank": {frozenset({"blue.png"})},
    }


def test_pictures_of_which_all_are_blank_are_looked_at(tmp_path):
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (9, 9)).save(tmp_path / name)
    assert found(tmp_path)["blank"]


def test_a_list_of_images_is_looked_at_although_some_are_not_there(photos, tmp_path):
    files = sorted(photos.glob("train/*/*.png"))
    (photos / "train" / "cat" / "copy.png").write_bytes(files[0].read_bytes())
    rows = [f"{file.relative_to(tmp_path)},{file.parent.name},train" for file in files]
    rows += ["photos/train/cat/gone.png,cat,train", "photos/train/cat/copy.png,cat,test"]
    rows += [f"{file.relative_to(tmp_path)},{file.parent.name},test" for file in sorted(photos.glob("val/*/*.png"))]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    inspection = inspect(tmp_path / "list.csv")
    assert inspection.counts == {"train": 24, "test": 9}
    across, damaged = inspection.findings
    assert (across.kind, damaged.kind) == ("duplicates_across_splits", "damaged")
    assert across.splits == (("train", "test"),)
    assert "  photos/train/cat/0.png (train) = photos/train/cat/copy.png (test)\n" in inspection.to_text()
    assert f"gone.png: is not there, but listed in {tmp_path}/list.csv:26" in damaged.groups[0][0]
    page = write_page(inspection, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<figcaption>photos/train/cat/copy.png (test)</figcaption>" in page


def test_an_experiment_is_looked_at_as_it_splits_its_data(photos, tmp_path):
    train = photos / "train"
    for file in sorted((train / "cat").iterdir()):
        (train / "cat" / f"copy-{file.name}").write_bytes(file.read_bytes())
    file = tmp_path / "photos.yaml"
    file.write_text(
        f"data: {{directory: {{path: {train}, image_size: 64}}}}\nmodel: LeNet\nfit: {{validation_split: 0.5}}\n"
    )
    seen = inspect(file)
    assert seen.counts == {"train": 18, "validation": 18}
    assert seen.crosses_splits


def test_arrays_are_looked_at_as_files_are(tmp_path):
    images = np.stack([np.asarray(photo(seed)) for seed in range(30)])
    np.savez(tmp_path / "a.npz", x_train=images, y_train=np.arange(30) % 3, x_test=images[:1], y_test=[0])
    (finding,) = inspect(tmp_path / "a.npz").findings
    assert (finding.kind, finding.groups) == ("duplicates_across_splits", (("train[0]", "test[0]"),))


def table(path, columns, labels):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "label"])
        writer.writerows(zip(*columns.values(), labels, strict=True))
    return path


def test_columns_that_say_nothing_or_everything_are_found(tmp_path):
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 300)
    columns = {"age": random.normal(size=300), "unit": np.ones(300), "code": 10 * labels + random.random(300)}
    columns["hint"] = labels + 0.5 * random.normal(size=300)
    wrong = {one.kind: one.groups for one in inspect(table(tmp_path / "a.csv", columns, labels)).findings}
    assert wrong == {"leaks": (("code",),), "one_value": (("unit",),)}


def test_columns_with_gaps_dates_and_text_are_looked_at_by_their_names(tmp_path):
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 200)
    columns = {"age": np.where(random.random(200) < 0.1, "", random.integers(18, 80, 200).astype(str))}
    columns["day"] = [f"2024-{1 + place % 12:02d}-03" for place in random.integers(0, 99, 200)]
    columns["city"] = np.array(["Oslo", "Rome", "Lima"])[random.integers(0, 3, 200)]
    columns["height"] = random.normal(size=200)
    columns["reply"] = np.where(labels == 1, "gone", "here")
    columns["refund"] = np.where(labels == 1, random.integers(1, 9, 200).astype(str), "")
    wrong = {one.kind: one.groups for one in inspect(table(tmp_path / "a.csv", columns, labels)).findings}
    assert wrong == {"leaks": (("refund",), ("reply",)), "gaps": (("age",), ("refund",))}


def test_columns_beside_an_image_are_looked_at_as_well(tmp_path):
    random = np.random.default_rng(4)
    labels = random.integers(0, 2, 60)
    rows = ["photo,code,size,label"]
    for number, label in enumerate(labels):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{label + 5},{random.normal():.3f},{label}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    data = "data: {image_table: {train: list.csv, label: label, features: [code, size]}}\n"
    layers = "[Flatten: {inputs: [image], name: flat}, Concatenate: {inputs: [flat, features]}]"
    (tmp_path / "a.yaml").write_text(f"{data}model: {{layers: {layers}}}\n")
    assert {one.kind: one.groups for one in inspect(tmp_path / "a.yaml").findings} == {"leaks": (("code",),)}


def test_the_label_of_the_nearest_value_is_that_of_scikit_learn():
    random = np.random.default_rng(2)
    for noise in np.linspace(0.05, 0.3, 40):
        labels = random.integers(0, 2, 400)
        column = (labels + noise * random.normal(size=400)).astype(np.float32)
        peer = KNeighborsClassifier(1).fit(column[::2, None], labels[::2]).score(column[1::2, None], labels[1::2])
        assert gives_away(column, labels) == (peer >= 0.99), (noise, peer)
        numbers = labels.astype(np.float32) + column
        peer = KNeighborsRegressor(1).fit(column[::2, None], numbers[::2]).score(column[1::2, None], numbers[1::2])
        assert gives_away(column, numbers[:, None]) == (peer >= 0.99), (noise, peer)


def test_a_rare_class_is_not_given_away_by_being_rare():
    labels = np.zeros(1000, np.int64)
    labels[::200] = 1
    assert not gives_away(np.random.default_rng(3).random(1000).astype(np.float32), labels)


def test_perceptual_hashes_are_the_low_frequencies_above_their_median():
    looks = np.stack([np.asarray(photo(seed).resize((32, 32))) for seed in range(5)])
    for look, seen in zip(looks, perceptual_hashes(looks), strict=True):
        low = dctn(look.mean(axis=-1))[:8, :8].ravel()
        bits = low > np.median(low)
        assert [bool(int(seen) >> place & 1) for place in range(64)] == bits.tolist()


@pytest.mark.long
def test_the_frames_of_a_video_are_one_group_and_need_no_more_memory_than_a_few_megabytes(tmp_path):
    """3,000 frames have 4.5 million pairs, which took 1.6 GB; what is drawn in no frame belongs to none."""
    random = np.random.default_rng(3)
    scene = random.integers(0, 256, (2, 1, 8, 8, 3)).repeat(4, 2).repeat(4, 3)
    frames = np.clip(scene + random.normal(0, 5, (2, 1500, 32, 32, 3)), 0, 255).astype(np.uint8).reshape(-1, 32, 32, 3)
    others = random.integers(0, 256, (50, 32, 32, 3), np.uint8)
    order = random.permutation(3050)
    x = np.concatenate([frames, others])[order]
    np.savez(tmp_path / "video.npz", x_train=x, y_train=np.arange(3050) % 2)
    tracemalloc.start()
    (alike,) = inspect(tmp_path / "video.npz").findings
    assert tracemalloc.get_traced_memory()[1] < 400e6
    tracemalloc.stop()
    scenes = [{f"train[{place}]" for place in np.flatnonzero((order // 1500) == number)} for number in (0, 1)]
    assert alike.kind == "near_duplicates"
    assert sorted(map(sorted, alike.groups)) == sorted(map(sorted, scenes))


def test_pictures_that_are_all_there_twice_are_told_at_once(tmp_path):
    """Each group was held against all others, so that the time was the square of their number."""
    x = np.random.default_rng(4).integers(0, 256, (6000, 4, 4, 1), np.uint8)
    np.savez(tmp_path / "twice.npz", x_train=x, y_train=np.arange(6000) % 2, x_test=x, y_test=np.arange(6000) % 2)
    inspection = inspect(tmp_path / "twice.npz")
    across = next(one for one in inspection.findings if one.kind == "duplicates_across_splits")
    assert across.groups[7] == ("train[7]", "test[7]")
    assert len(across.groups) == 6000
    assert len(inspection.to_text()) < 10000


def test_strict_ends_with_1_where_examples_are_in_two_splits(photos):
    strict = ["inspect", str(photos), "--strict", "--json"]
    assert CliRunner().invoke(app, strict).exit_code == 0
    (photos / "val" / "cat" / "copy.png").write_bytes((photos / "train" / "cat" / "0.png").read_bytes())
    assert CliRunner().invoke(app, strict[:-2]).exit_code == 0
    done = CliRunner().invoke(app, strict)
    assert isinstance(done.exception, DataError)
    seen = json.loads(done.stdout)
    assert seen["splits"]["train"] == {"examples": 24, "classes": {"cat": 12, "dog": 12}}
    assert [one["kind"] for one in seen["findings"]] == ["duplicates_across_splits"]


def test_a_name_is_no_markup_in_the_page(photos, tmp_path):
    hostile = "<script>alert(1)<\\script>&'\".png"
    for split in ("train", "val"):
        photo(1).save(photos / split / "cat" / hostile)
    page = write_page(inspect(photos), tmp_path / "page.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert page.count("data:image/jpeg;base64,") == 3
    assert "http" not in page


def test_the_page_says_what_columns_are(tmp_path):
    rows = [f"{number},{'<b>' if number % 2 else 'y'},{number % 3}" for number in range(12)]
    (tmp_path / "rows.csv").write_text("\n".join(["size,<i>town,label", *rows]), encoding="utf-8")
    page = write_page(inspect(tmp_path / "rows.csv"), tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<p>size: numbers; &lt;i&gt;town (2 values): categories</p>" in page


def test_validation_examples_that_train_are_counted():
    rows = np.arange(40, dtype=np.float32).reshape(20, 2)
    train = Split("train", ArrayInputs(rows), np.zeros(20, np.int64))
    validation = Split("validation", ArrayInputs(np.concatenate([rows[3:6], rows[5:6], -rows[1:5]])), train.labels[:8])
    assert trained_and_validated(train, validation) == 4


@pytest.mark.parametrize(("shape", "keys"), [((30, 5), {}), ((30, 9, 2), {"examples": "sequences"})])
def test_arrays_that_are_no_pictures_are_looked_at_too(tmp_path, shape, keys):
    x = np.random.default_rng(0).normal(size=shape)
    x[4] = x[9]
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(30) % 2)
    written = "".join(f", {key}: {value}" for key, value in keys.items())
    (tmp_path / "e.yaml").write_text(f"data: {{npz: {{path: a.npz{written}}}}}\nmodel: {{layers: [Flatten]}}\n")
    (finding,) = inspect(tmp_path / "e.yaml").findings
    assert "train[4]" in str(finding)
    assert "train[9]" in str(finding)


def test_a_name_with_a_line_break_stays_on_its_line(photos):
    image = next((photos / "train").rglob("*.png"))
    (image.parent / "nothing found\nthat is wrong.png").write_bytes(image.read_bytes())
    text = inspect(photos).to_text()
    assert "nothing found\\nthat is wrong.png" in text
    assert "nothing found\nthat is wrong" not in text
