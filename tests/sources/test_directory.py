import contextlib
import shutil
import time

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from kerasrun.errors import DataError
from kerasrun.reading import image_files
from kerasrun.reading.data import ImageFormat
from kerasrun.sources.directory import Directory, open_folder_with
from tests.sources.pixels import changed, pixels


def sample(folder):
    for number in range(6):
        path = folder / ("train" if number < 4 else "test") / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(number)).save(path)
    return {"path": folder}


def change(folder):
    path = folder / "train" / "a" / "0.png"
    Image.fromarray(changed(np.asarray(Image.open(path)))).save(path)


FORMAT = ImageFormat(6, 8, "rgb")


def fails(path, *words, **fields):
    with pytest.raises(DataError) as error:
        _ = Directory(path=path, **fields).open().fingerprint
    for word in words:
        assert str(word) in str(error.value)
    return str(error.value)


def test_classes_are_the_sorted_folder_names_and_labels_index_them(class_folders):
    data = Directory(path=class_folders).open()
    assert data.classes == ("cat", "dog")
    assert data.splits["train"].labels.tolist() == [0, 0, 0, 1, 1]
    assert data.splits["train"].names[2:4] == ("train/cat/c.png", "train/dog/a.png")
    assert data.image_format == FORMAT


def test_a_limit_may_leave_classes_without_examples(class_folders):
    data = Directory(path=class_folders, limit=1).open()
    assert data.classes == ("cat", "dog")
    assert data.splits["train"].names == ("train/cat/a.png",)


def test_a_limit_does_not_hide_a_class_without_images(class_folders):
    (class_folders / "train" / "fox").mkdir()
    fails(class_folders, class_folders / "train" / "fox", "no image to train on", limit=1)


def test_pixels_come_through_unchanged(tmp_path, write_image):
    pixels = [write_image(tmp_path / name / "1.png", seed=seed) for seed, name in enumerate("ab")]
    inputs = Directory(path=tmp_path).open().splits["train"].inputs
    np.testing.assert_array_equal(inputs.take(np.arange(2)), pixels)


def test_without_split_folders_everything_is_for_training(class_folders):
    data = Directory(path=class_folders / "train").open()
    assert list(data.splits) == ["train"]
    assert len(data.splits["train"]) == 5


@pytest.mark.parametrize("name", ["validation", "valid", "val", "Val", "VALIDATION", "val_set", "Validation data"])
def test_validation_has_several_spellings(class_folders, name):
    (class_folders / "test").rename(class_folders / name)
    assert list(Directory(path=class_folders).open().splits) == ["train", "validation"]


@pytest.mark.parametrize(
    ("train", "test"),
    [("training", "testing"), ("training_set", "test_set"), ("Train", "Test"), ("TRAIN-IMAGES", "Test data")],
)
def test_train_and_test_have_several_spellings(class_folders, train, test):
    (class_folders / "train").rename(class_folders / train)
    (class_folders / "test").rename(class_folders / test)
    assert list(Directory(path=class_folders).open().splits) == ["train", "test"]


@pytest.mark.parametrize("within", ["train", "images", "Data"])
def test_class_folders_may_be_in_the_only_folder_of_a_split(class_folders, within):
    shutil.rmtree(class_folders / "test")
    before = Directory(path=class_folders).open().fingerprint
    (class_folders / "train").rename(class_folders / "moved")
    (class_folders / "train").mkdir()
    (class_folders / "moved").rename(class_folders / "train" / within)
    assert Directory(path=class_folders).open().fingerprint == before


def test_a_class_folder_that_holds_splits_is_an_error(tmp_path, class_folders, write_image):
    class_folders.rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tmp_path / "two/a")
    shutil.copytree(tmp_path / "moved/train", tmp_path / "two/b/train")
    fails(tmp_path / "two", tmp_path / "two/a", "(test, train)", "data of its own; give it as the path")
    for name in ("cat/train", "cat/test", "dog/train", "dog/test"):
        write_image(tmp_path / "turned" / name / "1.png")
    fails(tmp_path / "turned", tmp_path / "turned/cat", "splits above the classes: test/cat/<image>")


def test_a_folder_of_a_class_may_be_called_like_a_split(tmp_path, write_image):
    for name in ("vehicles/train", "vehicles/plane", "animals/dog"):
        write_image(tmp_path / name / "1.png")
    assert Directory(path=tmp_path).open().classes == ("animals", "vehicles")


@pytest.mark.parametrize("outer", ["archive", "archive/photos"])
@pytest.mark.parametrize("inner", [".", "train"])
def test_data_in_the_only_folder_of_a_folder_are_recognized(tmp_path, class_folders, outer, inner):
    (tmp_path / "x" / outer).parent.mkdir(parents=True)
    (class_folders / inner).rename(tmp_path / "x" / outer)
    found = Directory.recognize(tmp_path / "x")
    assert (found.paths, found.classes) == ({"path": tmp_path / "x" / outer}, 2)
    assert Directory(**found.paths, image_size=(6, 8)).open().classes == ("cat", "dog")


def test_the_spelling_of_a_split_does_not_change_the_fingerprint(class_folders):
    (class_folders / "test").rename(class_folders / "val")
    before = Directory(path=class_folders).open().fingerprint
    (class_folders / "val").rename(class_folders / "validation")
    assert Directory(path=class_folders).open().fingerprint == before


def test_a_renamed_file_changes_the_fingerprint(class_folders):
    before = Directory(path=class_folders).open().fingerprint
    (class_folders / "train/cat/a.png").rename(class_folders / "train/cat/aa.png")
    assert Directory(path=class_folders).open().fingerprint != before


def test_a_split_folder_spelt_twice_is_an_error(class_folders):
    shutil.copytree(class_folders / "test", class_folders / "val")
    shutil.copytree(class_folders / "test", class_folders / "valid")
    fails(class_folders, "two folders for validation", "val", "valid")


def test_a_class_may_be_called_like_a_split(tmp_path, write_image):
    for name in ("train", "plane"):
        write_image(tmp_path / name / "1.png")
    assert Directory(path=tmp_path).open().classes == ("plane", "train")


def test_splits_without_class_folders_are_an_error(tmp_path, write_image):
    for name in ("train", "test"):
        write_image(tmp_path / name / "1.png")
    fails(tmp_path, tmp_path / "train", "no class folders", "1 images", "train/<class>/<image>")


def test_images_without_folders_are_their_own_targets(tmp_path, write_image):
    for name in ("b", "a"):
        write_image(tmp_path / f"{name}.png")
    split = Directory(path=tmp_path, labels="input").open().splits["train"]
    assert split.names == ("a.png", "b.png")
    fails(tmp_path, tmp_path, "no class folders here, but 2 images", "<class>/<image>")


def test_a_test_split_without_train_is_an_error(class_folders):
    shutil.rmtree(class_folders / "train")
    fails(class_folders, class_folders, "no folder train")


def test_hidden_files_and_folders_are_ignored(class_folders):
    before = Directory(path=class_folders).open()
    for name in ("train/.cache/x.png", "__MACOSX/cat/._a.png", "train/cat/._a.png", "train/dog/Thumbs.db"):
        (class_folders / name).parent.mkdir(exist_ok=True, parents=True)
        (class_folders / name).write_text("no image")
    (class_folders / "train/desktop.ini").write_text("x")
    after = Directory(path=class_folders).open()
    assert after.fingerprint == before.fingerprint
    assert after.classes == before.classes


def test_foreign_extensions_are_ignored_and_image_extensions_are_known_in_any_case(class_folders, write_image):
    (class_folders / "train/cat/notes.txt").write_text("x")
    write_image(class_folders / "train/cat/d.PNG")
    write_image(class_folders / "train/cat/e.JPG")
    assert len(Directory(path=class_folders).open().splits["train"]) == 7


def test_a_class_folder_with_foreign_files_alone_is_an_error(class_folders):
    (class_folders / "train/owl").mkdir()
    (class_folders / "train/owl/notes.txt").write_text("x")
    fails(class_folders, class_folders / "train/owl", "no image", "notes.txt", ".png")


def test_an_empty_class_folder_in_train_is_an_error(class_folders):
    (class_folders / "train/owl").mkdir()
    fails(class_folders, class_folders / "train/owl", "no image")


def test_images_in_folders_of_a_class_folder_are_of_that_class_each_read_once(class_folders, write_image):
    write_image(class_folders / "train/cat/2021/more/1.png")
    (class_folders / "train/cat/2021/back").symlink_to(class_folders / "train/cat", target_is_directory=True)
    train = Directory(path=class_folders).open().splits["train"]
    assert train.names[3] == "train/cat/2021/more/1.png"
    assert train.labels.tolist() == [0, 0, 0, 0, 1, 1]


def test_images_by_content_and_what_is_passed_over(class_folders, write_image, caplog):
    folder = class_folders / "train/cat"
    for name in ("d.jfif", "e.jpe", "f.ppm", "g.pgm"):
        Image.fromarray(pixels(1)).save(folder / name, {".jfif": "JPEG", ".jpe": "JPEG"}.get(name[1:], "PPM"))
    shutil.copy(folder / "a.png", folder / "without-extension")
    (folder / "README").write_text("not an image")
    (folder / "h.heic").write_bytes(b"0")
    (folder / "i.txt").write_bytes(b"0")
    train = Directory(path=class_folders, image_size=(6, 8)).open().splits["train"]
    assert [name.rpartition("/")[2] for name in train.names[3:8]] == [
        "d.jfif",
        "e.jpe",
        "f.ppm",
        "g.pgm",
        "without-extension",
    ]
    (line,) = [message for message in caplog.messages if "passed over" in message]
    assert line.endswith(
        "1 .heic, 1 .txt, 1 without an extension; HEIC images are not read, convert them to JPEG or PNG"
    )


def test_classes_are_matched_by_name_where_a_split_lacks_one(class_folders):
    shutil.rmtree(class_folders / "test/cat")
    assert Directory(path=class_folders).open().splits["test"].labels.tolist() == [1]


def test_a_class_that_train_lacks_is_an_error_that_names_it(class_folders, write_image):
    write_image(class_folders / "val/owl/1.png")
    fails(class_folders, class_folders / "val", "'owl'", "train", "cat, dog")


def test_a_split_without_images_is_an_error(class_folders):
    for folder in ("cat", "dog"):
        shutil.rmtree(class_folders / "test" / folder)
    fails(class_folders, class_folders / "test")
    (class_folders / "test/cat").mkdir()
    fails(class_folders, class_folders / "test", "no images in this split")


def test_a_single_class_is_an_error(class_folders):
    shutil.rmtree(class_folders / "test")
    shutil.rmtree(class_folders / "train/dog")
    fails(class_folders, "single class", "'cat'")


def test_classes_choose_and_order(class_folders, write_image):
    write_image(class_folders / "train/owl/1.png")
    write_image(class_folders / "test/owl/1.png")
    data = Directory(path=class_folders, classes=["owl", "cat"]).open()
    assert data.classes == ("owl", "cat")
    assert data.splits["train"].labels.tolist() == [0, 1, 1, 1]


def test_a_class_without_folder_is_an_error_with_the_nearest_name(class_folders):
    fails(class_folders, "'dogs'", "did you mean 'dog'?", classes=["cat", "dogs"])


def test_class_names_that_yaml_reads_as_numbers_stay_text():
    class WrittenFloat(float):
        text = "1.10"

    source = Directory(path="x", classes=[7, WrittenFloat(1.1), False, "0001"])
    assert source.classes == ("7", "1.10", "false", "0001")


@pytest.mark.parametrize("classes", [["a", "a"], ["a"], []])
def test_class_names_must_be_several_and_different(classes):
    with pytest.raises(ValidationError):
        Directory(path="x", classes=classes)


def test_image_size_is_positive():
    with pytest.raises(ValidationError):
        Directory(path="x", image_size=[0, 8])


def test_a_missing_folder_is_an_error_with_the_nearest_name(class_folders):
    near = class_folders.parent / "pet"
    fails(near, near, "does not exist", f"did you mean {class_folders}?")
    fails(near / "below", f"{class_folders.parent} exists, but has no 'pet'")


def test_a_file_in_place_of_the_folder_is_an_error(class_folders):
    fails(class_folders / "train/cat/a.png", "cannot be read: Not a directory; expected a folder")
    fails(class_folders / "train/cat/a.png" / "x", "is a file, not a folder")


def test_an_empty_folder_is_an_error(tmp_path):
    fails(tmp_path, tmp_path, "no class folders")


def test_images_of_several_sizes_need_image_size(class_folders, write_image):
    write_image(class_folders / "train/dog/z.png", size=(5, 5))
    fails(class_folders, "train/cat/a.png is 6×8", "train/dog/z.png is 5×5", "image_size")
    assert Directory(path=class_folders, image_size=[4, 4]).open().splits["train"].inputs.example_shape == (4, 4, 3)


def test_the_files_are_known_by_name_size_and_time_before_they_are_read(class_folders, tmp_path):
    def known(path):
        return Directory(path=path).open().files

    before = known(class_folders)
    shutil.copytree(class_folders, tmp_path / "moved")
    assert known(tmp_path / "moved") == before
    (tmp_path / "moved/train/cat/a.png").touch()
    assert known(tmp_path / "moved") != before
    (class_folders / "train/cat/a.png").rename(class_folders / "train/cat/aa.png")
    assert known(class_folders) != before


def test_which_files_may_be_skipped_is_known_at_once(class_folders):
    data = Directory(path=class_folders, on_bad_file="skip").open()
    assert data.is_read
    assert data.files is None


def test_every_bad_file_is_listed(class_folders):
    (class_folders / "train/cat/bad1.png").write_text("no image")
    (class_folders / "test/dog/bad2.png").write_bytes(b"")
    fails(class_folders, "2 of 9 image files", "bad1.png: is not an image", "bad2.png: is empty", "on_bad_file: skip")


def test_where_no_image_can_be_read_that_is_told_and_no_size_is_made_up(class_folders):
    for file in class_folders.rglob("*.png"):
        file.write_text("no image")
    with pytest.raises(DataError, match=r"7 of 7 image files cannot be used"):
        Directory(path=class_folders).open()


def test_a_long_list_of_bad_files_is_cut(class_folders):
    for number in range(13):
        (class_folders / f"train/cat/bad{number:02}.png").write_text("no image")
    message = fails(class_folders, "13 of 20 image files", "bad09.png", "and 3 more")
    assert "bad10.png" not in message


@pytest.mark.parametrize("budget", [2**30, 0])
def test_bad_files_may_be_skipped_and_are_listed(class_folders, monkeypatch, budget):
    monkeypatch.setattr(image_files, "memory_budget", lambda: budget)
    clean = Directory(path=class_folders).open()
    (class_folders / "train/cat/aa.png").write_text("no image")
    data = Directory(path=class_folders, on_bad_file="skip").open()
    assert [(file.path, file.reason[:15]) for file in data.skipped] == [
        (class_folders / "train/cat/aa.png", "is not an image")
    ]
    assert data.fingerprint == clean.fingerprint
    for name, split in data.splits.items():
        assert split.names == clean.splits[name].names
        assert split.labels.tolist() == clean.splits[name].labels.tolist()
        everything = np.arange(len(split))
        np.testing.assert_array_equal(split.inputs.take(everything), clean.splits[name].inputs.take(everything))


def test_skipping_may_not_empty_a_split_or_a_class_of_train(class_folders):
    for name in ("a", "b"):
        (class_folders / f"train/dog/{name}.png").write_text("no image")
    fails(class_folders, class_folders / "train/dog", "no image to train on", on_bad_file="skip")
    (class_folders / "test/cat/x.png").write_text("no image")
    (class_folders / "test/dog/y.png").write_text("no image")
    fails(class_folders, "none of the 2 images for test can be read", "x.png", on_bad_file="skip")


def test_images_in_memory_and_decoded_on_demand_are_equal(class_folders, monkeypatch):
    source = Directory(path=class_folders, image_size=[5, 7], color_mode="grayscale", fit_mode="pad")
    in_memory = source.open()
    monkeypatch.setattr(image_files, "memory_budget", lambda: 0)
    on_demand = source.open()
    assert [data.splits["train"].inputs.is_kept for data in (in_memory, on_demand)] == [True, False]
    assert on_demand.fingerprint == in_memory.fingerprint
    indices = np.array([4, 0, 2, 2])
    np.testing.assert_array_equal(
        on_demand.splits["train"].inputs.take(indices), in_memory.splits["train"].inputs.take(indices)
    )


def test_how_files_are_decoded_is_in_the_fingerprint_and_the_format_of_the_images(class_folders):
    exact, named, scaled = (
        Directory(path=class_folders, image_size=[5, 7], **keys).open()
        for keys in ({}, {"decode": "exact"}, {"decode": "scaled"})
    )
    assert [data.image_format.decode for data in (exact, named, scaled)] == ["exact", "exact", "scaled"]
    assert exact.fingerprint == named.fingerprint != scaled.fingerprint


def test_a_foreign_folder_is_read_with_the_classes_of_a_model(class_folders):
    split = open_folder_with(FORMAT, ["owl", "dog", "cat"], class_folders / "train")
    assert split.name == "train"
    assert split.labels.tolist() == [1, 1, 2, 2, 2]
    assert split.inputs.example_shape == (6, 8, 3)


def test_a_foreign_folder_with_splits_is_read_for_testing(class_folders, write_image):
    assert open_folder_with(FORMAT, ["cat", "dog"], class_folders).names == ("test/cat/x.png", "test/dog/y.png")
    shutil.rmtree(class_folders / "test")
    write_image(class_folders / "val/cat/v.png")
    assert open_folder_with(FORMAT, ["cat", "dog"], class_folders).name == "validation"
    shutil.rmtree(class_folders / "val")
    assert len(open_folder_with(FORMAT, ["cat", "dog"], class_folders)) == 5


def test_a_foreign_folder_with_a_class_that_the_model_lacks_is_an_error(class_folders):
    with pytest.raises(DataError, match=r"'dog', which the model does not have; it has cat, owl"):
        open_folder_with(FORMAT, ["cat", "owl"], class_folders)


def test_a_foreign_folder_may_skip_bad_files(class_folders):
    (class_folders / "test/cat/z.png").write_text("no image")
    with pytest.raises(DataError, match=r"z\.png"):
        open_folder_with(FORMAT, ["cat", "dog"], class_folders)
    split = open_folder_with(FORMAT, ["cat", "dog"], class_folders, on_bad_file="skip")
    assert [file.path.name for file in split.skipped] == ["z.png"]


def test_a_pattern_says_which_files_belong_together(tmp_path, write_image):
    for number, name in enumerate(["a/p1_0", "a/p1_1", "a/p2/0", "b/p2_7", "b/p3_1"]):
        write_image(tmp_path / "train" / f"{name}.png", seed=number)
    assert Directory(path=tmp_path).open().splits["train"].groups is None
    data = Directory(path=tmp_path, group=r"^(p\d)(?:_|/)").open()
    assert data.splits["train"].groups.tolist() == [0, 0, 1, 1, 2]
    assert data.fingerprint != Directory(path=tmp_path).open().fingerprint
    fails(tmp_path, tmp_path / "train/a/p1_0.png", "nor in 3 others of 5", group=r"p3")
    write_image(tmp_path / "test" / "b" / "p3.png", seed=9)
    fails(tmp_path, "test/b/p3.png: the group 'p3' is in test, and in train as well", "train/b/p3_1.png", group=r"p\d")
    with pytest.raises(ValidationError, match="expected a regular expression"):
        Directory(path=tmp_path, group="p(")


@pytest.mark.parametrize("group", [r"((p|p)+)+$", r"(.*_)*(.*_)*(.*_)*x|p", "((p?){100}){10}x|(p)"])
def test_no_pattern_takes_longer_than_its_length_times_that_of_the_names(tmp_path, write_image, group):
    """Python's own expressions go on with the first for longer than the sun will."""
    for name in ("a/" + "p" * 200, "b/" + "p_" * 100):
        write_image(tmp_path / "train" / f"{name}.png")
    began = time.process_time()
    with contextlib.suppress(DataError):
        Directory(path=tmp_path, group=group).open()
    assert time.process_time() - began < 2


def test_letters_beyond_ascii_are_in_no_group_by_oversight(tmp_path, write_image):
    for name in ("Žofie_1", "Žofie_2", "Petr_1", "Петр_1"):
        write_image(tmp_path / "train/a" / f"{name}.png")
    write_image(tmp_path / "train/b/Anna_1.png")
    with pytest.raises(DataError, match=r"has \\w, which knows letters of ASCII alone.*\[\\pL\\pN_\]"):
        Directory(path=tmp_path, group=r"^(\w+)_\d").open()
    data = Directory(path=tmp_path, group=r"^(\pL+)_\d").open()
    assert data.splits["train"].groups.tolist() == [1, 2, 2, 3, 0]  # by name: Anna, Petr, Žofie, Петр


@pytest.mark.parametrize("group", ["p" * 1001, r"\pL{1000}", "(?:(?:p{1000}){1000}){1000}"])
def test_enormous_patterns_are_refused(tmp_path, group):
    with pytest.raises(ValidationError, match="expected a regular expression"):
        Directory(path=tmp_path, group=group)
