"""Images with masks: pairs by name, values as classes, and what cannot be a mask."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from kerasrun.errors import DataError, ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.reading import image_files, masks
from kerasrun.sources.image_masks import ImageMasks
from tests.sources.pixels import pixels

DATA = Path(__file__).parents[2] / "data"


def sample(folder):
    for number in range(6):
        split = folder / ("train" if number < 4 else "test")
        for name, values in (("images", pixels(number)), ("masks", pixels(number) // 128 * 255)):
            (split / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(split / name / f"{number}.png")
    return {"path": folder}


def change(folder):
    path = folder / "train" / "masks" / "0.png"
    values = np.asarray(Image.open(path)).copy()
    values.flat[0] ^= 255
    Image.fromarray(values).save(path)


def short_experiment(folder):
    return f"""
data: {{image_masks: {{path: {DATA}/digit_masks, color_mode: grayscale, classes: [background, stroke]}}}}
model: {{layers: [Conv2D: {{filters: 4, kernel_size: 3, padding: same, activation: relu}}]}}
augmentation: [RandomFlip]
"""


SIZE = (6, 8)
BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (200, 0, 0), (0, 200, 0)


def mask_of(values, seed=0, size=SIZE):
    mask = np.random.default_rng(seed).choice(np.array(values, np.uint8), size)
    mask.flat[: len(values)] = values
    return mask


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


@pytest.fixture
def pairs(tmp_path, write_image):
    """Write `count` pairs with masks of these values; returns the folder."""

    def write(values=(0, 255), folder="", count=3):
        root = tmp_path / "pairs"
        for number in range(count):
            write_image(root / folder / f"images/{number}.jpg", size=SIZE, seed=number)
            save(root / folder / f"masks/{number}.png", mask_of(values, number))
        return root

    return write


def whole(**fields):
    data = ImageMasks(**fields).open()
    data.require_read()
    return data


def masks_of(data, split="train"):
    labels = data.splits[split].labels
    return labels.take(np.arange(len(labels)))


def test_scaled_images_have_exact_masks_of_the_size_in_their_files(pairs):
    root = pairs()
    exact, scaled = (ImageMasks(path=root, image_size=[2, 3], decode=decode).open() for decode in ("exact", "scaled"))
    np.testing.assert_array_equal(masks_of(scaled), masks_of(exact))
    images = [data.splits["train"].inputs.take(np.arange(3)) for data in (exact, scaled)]
    assert (images[0] != images[1]).any()
    assert exact.fingerprint != scaled.fingerprint
    assert scaled.image_format.decode == "scaled"


def test_a_mask_of_0_and_255_has_two_classes(pairs):
    data = whole(path=pairs())
    assert (data.classes, data.label_kind) == (("0", "255"), "masks")
    assert data.splits["train"].names == ("images/0.jpg", "images/1.jpg", "images/2.jpg")
    found = masks_of(data)
    assert (found.shape, found.dtype) == ((3, *SIZE, 1), np.uint8)
    np.testing.assert_array_equal(found[1, ..., 0], mask_of([0, 255], 1) // 255)


def test_a_mask_of_class_numbers_has_as_many_classes(pairs):
    data = whole(path=pairs([0, 1, 2]), classes=("sky", "sea", "land"))
    assert data.classes == ("sky", "sea", "land")
    np.testing.assert_array_equal(masks_of(data)[0, ..., 0], mask_of([0, 1, 2]))


def test_the_values_of_the_classes_can_be_given_in_order_or_by_name(pairs):
    root = pairs([10, 20, 30])
    listed = whole(path=root, mask_values=(30, 10, 20))
    assert listed.classes == ("30", "10", "20")
    np.testing.assert_array_equal(masks_of(listed)[0, ..., 0], np.array([1, 2, 0])[mask_of([10, 20, 30]) // 10 - 1])
    named = whole(path=root, mask_values={10: "cell", 20: "edge", 30: "cell"})
    assert named.classes == ("cell", "edge")
    np.testing.assert_array_equal(masks_of(named)[0, ..., 0], mask_of([10, 20, 30]) == 20)


@pytest.mark.parametrize(
    "given", [{"rest": "edge", 10: "cell"}, {"edge": "rest", "cell": 10}, {"edge": "rest", "cell": "10"}]
)
def test_the_value_of_a_class_may_be_the_rest(pairs, given):
    data = whole(path=pairs([10, 20, 30]), mask_values=given)
    assert data.classes == ("edge", "cell")
    np.testing.assert_array_equal(masks_of(data)[0, ..., 0], mask_of([10, 20, 30]) == 10)


def test_the_value_of_each_class_says_what_the_class_of_each_value_says(pairs):
    root = pairs([10, 20, 30])
    by_class = whole(path=root, mask_values={"cell": 20, "edge": 30, "sky": 10})
    by_value = whole(path=root, mask_values={20: "cell", 30: "edge", 10: "sky"})
    assert by_class.classes == by_value.classes == ("cell", "edge", "sky")
    np.testing.assert_array_equal(masks_of(by_class), masks_of(by_value))
    assert whole(path=root, mask_values={10: "1", 20: "0", 30: "rest"}).classes == ("1", "0", "rest")


def test_the_rest_is_not_what_a_jpeg_blurred(pairs):
    root = pairs()
    blurred(root)
    with pytest.raises(DataError, match="which blurs values"):
        whole(path=root, mask_values={"background": 0, "person": "rest"})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("mask_colors: {sky: [1, 2], sea: [1, 2, 3]}", "mask_colors.sky: received a list; expected a list with more"),
        ("mask_colors: {sky: [1, 2, 300], sea: [1, 2, 3]}", "mask_colors.sky.2: received 300; expected a whole number"),
        ("mask_colors: {sky: rset, sea: [1, 2, 3]}", "expected a list: [value, value] or rest; did you mean 'rest'?"),
        ("mask_values: {sky: 0, sea: 300}", "expected a value of 0 to 255, or rest, for each class; sea has 300"),
        (f"mask_values: {{sky: 0, sea: '{'9' * 5000}'}}", "expected a value of 0 to 255, or rest, for each class; sea"),
        ("mask_values: {sky: 0, sea: 0}", "mask_values: received a mapping; expected every value"),
        ("mask_values: {sky: 0, sea: [1, 2]}", "or rest, for each class; sea has [1, 2]"),
        (
            "mask_values: {0: sky, -1: sea}",
            "mask_values.-1: received 'sea'; expected a whole number of at least 0 or rest",
        ),
    ],
)
def test_what_is_wrong_with_values_and_colours_is_told_with_its_place(keys, words):
    with pytest.raises(ExperimentError) as error:
        parse(f"data: {{image_masks: {{path: x, {keys}}}}}\nmodel: {{layers: [Flatten]}}", "e.yaml")
    assert "e.yaml:1:" in str(error.value)
    assert words in str(error.value)


def renamed(root, suffix):
    for path in list((root / "masks").iterdir()):
        path.rename(path.with_stem(f"{path.stem}{suffix}"))


def test_masks_may_have_a_suffix_beside_other_files(pairs):
    root = pairs()
    before = masks_of(whole(path=root))
    renamed(root, "_mask")
    save(root / "masks/1_color.png", mask_of([5]))
    with pytest.raises(DataError, match=r"0\.jpg: an image without its mask: .*; did you mean `mask_suffix: _mask`\?"):
        whole(path=root)
    data = whole(path=root, mask_suffix="_mask")
    assert data.splits["train"].names == ("images/0.jpg", "images/1.jpg", "images/2.jpg")
    np.testing.assert_array_equal(masks_of(data), before)
    with pytest.raises(DataError, match="no image here has a name that ends in '_label'"):
        whole(path=root, mask_suffix="_label")
    remove(root, "masks/1_mask.png")
    with pytest.raises(DataError, match=r"1\.jpg: an image without its mask: no masks/1_mask\.\* in"):
        whole(path=root, mask_suffix="_mask")


def test_masks_with_a_suffix_may_be_beside_their_images(pairs):
    root = pairs()
    before = masks_of(whole(path=root))
    renamed(root, "_mask")
    for path in list((root / "masks").iterdir()):
        path.rename(root / "images" / path.name)
    data = whole(path=root, masks="images", mask_suffix="_mask")
    assert len(data.splits["train"]) == 3
    np.testing.assert_array_equal(masks_of(data), before)


def test_a_draft_finds_the_suffix(pairs):
    root = pairs()
    assert "mask_suffix" not in ImageMasks.recognize(root).keys
    renamed(root, "_segmentation")
    assert ImageMasks.recognize(root).keys["mask_suffix"] == "_segmentation"


def test_splits_are_folders_of_the_two_folders(pairs):
    pairs(folder="train")
    pairs(folder="val", count=2)
    data = whole(path=pairs(folder="test", count=1))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 3, "validation": 2, "test": 1}


def test_a_palette_means_its_indices(pairs):
    root = pairs([0, 1, 2])
    palette = Image.fromarray(mask_of([0, 1, 2], 1))
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(root / "masks/1.png")
    with Image.open(root / "masks/1.png") as saved:
        assert saved.mode == "P"
    np.testing.assert_array_equal(masks_of(whole(path=root))[1, ..., 0], mask_of([0, 1, 2], 1))


def test_one_bit_masks_have_two_classes(pairs):
    root = pairs()
    for number in range(3):
        save(root / f"masks/{number}.png", mask_of([0, 1], number).astype(bool))
    data = whole(path=root)
    assert data.classes == ("0", "255")
    np.testing.assert_array_equal(masks_of(data)[2, ..., 0], mask_of([0, 1], 2))


def test_resizing_never_mixes_classes(pairs):
    data = whole(path=pairs([0, 1, 2]), image_size=(11, 5))
    assert data.splits["train"].inputs.example_shape == (11, 5, 3)
    assert masks_of(data).shape == (3, 11, 5, 1)
    assert set(np.unique(masks_of(data))) == {0, 1, 2}


@pytest.fixture
def held_back(monkeypatch):
    """Nothing is read in the background before this event is set."""
    event, read_once = threading.Event(), image_files.ImageFiles._read_once

    def waiting(self, place):
        assert not threading.current_thread().name.startswith("read-") or event.wait(60)
        read_once(self, place)

    monkeypatch.setattr(image_files.ImageFiles, "_read_once", waiting)
    yield event
    event.set()


@pytest.mark.parametrize(
    ("keys", "is_first"),
    [
        ({"mask_values": (0, 255)}, False),
        ({"mask_colors": {"sky": BLACK, "sea": WHITE}}, False),
        ({"classes": ("sky", "sea")}, True),
        ({}, True),
    ],
)
def test_masks_are_read_first_only_where_their_values_decide_what_the_classes_are(pairs, held_back, keys, is_first):
    data = ImageMasks(path=pairs(), **keys).open()
    labels = data.splits["train"].labels
    assert not data.is_read
    assert (labels.array is not None) == is_first
    np.testing.assert_array_equal(labels.take(np.array([1]))[0, ..., 0], mask_of([0, 255], 1) // 255)
    held_back.set()
    data.require_read()
    np.testing.assert_array_equal(labels.array[..., 0], [mask_of([0, 255], number) // 255 for number in range(3)])


def test_a_value_that_is_no_class_is_told_when_its_mask_is_asked_for(pairs, held_back):
    root = pairs()
    save(root / "masks/1.png", mask_of([0, 7, 255]))
    data = ImageMasks(path=root, mask_values=(0, 255)).open()
    with pytest.raises(DataError, match=r"masks/1\.png: the mask has the value 7, but the classes are 0, 255"):
        data.splits["train"].labels.take(np.array([1]))


def test_grey_palettes_that_differ_count_by_their_greys_where_values_are_given_too(pairs):
    root = pairs()
    save_palette(root / "masks/1.png", mask_of([0, 1], 1), (WHITE, BLACK))
    found = masks_of(whole(path=root, mask_values=(0, 255)))
    np.testing.assert_array_equal(found[1, ..., 0], 1 - mask_of([0, 1], 1))


def test_masks_that_do_not_fit_into_memory_are_decoded_to_the_same(pairs, monkeypatch):
    root = pairs([0, 1, 2])
    kept = whole(path=root, image_size=(5, 7))
    monkeypatch.setattr(image_files, "memory_budget", lambda: 0)
    read = whole(path=root, image_size=(5, 7))
    assert read.splits["train"].labels.array is None
    np.testing.assert_array_equal(masks_of(read), masks_of(kept))
    assert read.fingerprint == kept.fingerprint


def remove(root, name):
    (root / name).unlink()


def blurred(root):
    save(root / "masks/1.jpg", mask_of([0, 255], 1), quality=30)
    remove(root, "masks/1.png")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: remove(root, "masks/1.png"), r"images/1\.jpg: an image without its mask: no masks/1\.\*"),
        (lambda root: remove(root, "images/2.jpg"), r"masks/2\.png: a mask without its image: no images/2\.\*"),
        (
            lambda root: save(root / "masks/1.png", mask_of([0, 255], size=(6, 9))),
            "1.png: the mask is 6×9, but its image",
        ),
        (lambda root: save(root / "masks/1.png", mask_of([0, 7, 255])), "values 0, 7, 255.*set `mask_values`"),
        (blurred, r"1\.jpg: a mask as JPEG, which blurs values"),
        (
            lambda root: save(root / "masks/1.png", np.full((*SIZE, 3), [0, 255, 3], np.uint8)),
            r"1\.png: has the colour \[0, 255, 3\], not class numbers; say by `mask_colors`",
        ),
        (lambda root: save(root / "masks/1.png", mask_of([0, 255]).astype(np.uint16) * 9), r"1\.png.*the value 2295"),
        # To count how often each value occurs would take gigabytes.
        (
            lambda root: [remove(root, "masks/1.png"), save(root / "masks/1.tif", mask_of([0, 255]) * np.int32(2**22))],
            r"1\.tif.*the value 1069547520",
        ),
        (lambda root: (root / "masks/1.png").write_bytes(b""), r"1\.png: is empty"),
        (lambda root: save(root / "masks/1.bmp", mask_of([0, 255])), r"1\.bmp and 1\.png have one name"),
        (lambda root: [remove(root, f"masks/{n}.png") for n in range(3)], "masks: no images in this folder"),
        (lambda root: (root / "images").rename(root / "image"), r"no folder 'images'.*did you mean `images: image`\?"),
        (
            lambda root: [save(root / f"masks/{n}.png", np.zeros(SIZE, np.uint8)) for n in range(3)],
            "the values 0, which are neither",
        ),
    ],
)
def test_what_cannot_be_used_is_told_with_its_name(pairs, spoil, words):
    root = pairs()
    spoil(root)
    with pytest.raises(DataError, match=words):
        whole(path=root)


def test_soft_edges_are_not_taken_for_256_classes(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for folder in ("images", "masks"):
        save(tmp_path / folder / "1.png", grey)
    with pytest.raises(DataError, match="every value from 0 to 255, as soft edges give"):
        whole(path=tmp_path)


def test_a_value_that_is_no_class_is_told_with_its_file(pairs):
    root = pairs([0, 1, 2])
    with pytest.raises(DataError, match=r"0\.png: the mask has the value 2, but the classes are 0, 1; set `mask_val"):
        whole(path=root, mask_values=(0, 1))
    with pytest.raises(DataError, match="no pixel to train on is of the class 'land'"):
        whole(path=root, mask_values={0: "sky", 1: "sea", 2: "sea", 3: "land"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mask_values": (0, 0)}, "every value and every colour once"),
        ({"mask_values": (0, 256)}, "less than or equal to 255"),
        ({"mask_values": (0, 1), "classes": ("a", "b", "c")}, "as many classes as mask_values: 2"),
        ({"mask_values": {0: "a", 1: "b"}, "classes": ("a", "c")}, "the same classes: a, b"),
        ({"mask_values": {0: "a", 1: "a"}}, "at least two classes"),
        ({"mask_colors": {"a": BLACK, "b": BLACK}}, "every colour once"),
        ({"mask_colors": {"a": "rest", "b": "rest"}}, "every colour once"),
        ({"mask_colors": {"a": BLACK}}, "at least 2 items"),
        ({"mask_colors": {"a": BLACK, "b": (0, 0, 256)}}, "less than or equal to 255"),
        ({"mask_colors": {"a": BLACK, "b": WHITE}, "classes": ("a", "c")}, "the same classes: a, b"),
        ({"mask_colors": {"a": BLACK, "b": WHITE}, "mask_values": (0, 1)}, "not both"),
    ],
)
def test_values_and_classes_that_contradict_each_other_are_told_from_the_text(fields, words):
    with pytest.raises(ValidationError, match=words):
        ImageMasks(path="x", **fields)


def test_a_limit_takes_pairs_that_are_evenly_spaced_and_may_lack_a_class(pairs):
    root = pairs(count=4)
    for number in (0, 2):
        save(root / f"masks/{number}.png", np.zeros(SIZE, np.uint8))
    data = whole(path=root, mask_values=(0, 255), limit=2)
    assert data.splits["train"].names == ("images/0.jpg", "images/2.jpg")
    assert data.classes == ("0", "255")
    assert not masks_of(data).any()


def save_palette(path, indices, colours):
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette([part for colour in colours for part in colour])
    image.save(path)


def with_palettes(root, palettes, suffix=".png"):
    """Replace the masks: their indices, and their colours as Pillow converts them."""
    found = []
    for number, old in enumerate(sorted((root / "masks").iterdir())):
        old.unlink()
        colours = palettes[number % len(palettes)]
        save_palette(old.with_suffix(suffix), mask_of(range(len(colours)), number), colours)
        with Image.open(old.with_suffix(suffix)) as image:
            found.append((np.asarray(image), np.asarray(image.convert("RGB"))))
    return [np.stack(part) for part in zip(*found, strict=True)]


@pytest.mark.parametrize("suffix", [".png", ".gif", ".tif"])
@pytest.mark.parametrize("palettes", [[(WHITE, BLACK, BLACK), (BLACK, WHITE)], [(BLACK, WHITE, BLACK), (WHITE,)]])
@pytest.mark.parametrize("is_kept", [True, False])
def test_grey_palettes_that_differ_count_by_their_greys(pairs, palettes, suffix, is_kept, monkeypatch):
    root = pairs((0, 1))
    if not is_kept:
        monkeypatch.setattr(image_files, "memory_budget", lambda: 0)
    _, colours = with_palettes(root, palettes, suffix)
    data = whole(path=root)
    assert data.classes == ("0", "255")
    np.testing.assert_array_equal(masks_of(data)[..., 0] == 1, colours[..., 0] == 255)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("first", [(BLACK, WHITE), (WHITE,), (WHITE, BLACK)])
def test_grey_palettes_count_by_their_greys_beside_masks_without_one(pairs, first, plain):
    root = pairs((0, 255))
    save_palette(root / "masks/0.png", mask_of(range(len(first))), first)
    with Image.open(root / "masks/0.png") as image:
        is_white = np.asarray(image.convert("L")) == 255
    if plain:
        save(root / "masks/1.png", mask_of([0, 1], 1).astype(bool))
    np.testing.assert_array_equal(masks_of(whole(path=root))[0, ..., 0], is_white)


TWICE = tuple((number % 2 * 90,) * 3 for number in range(4))
VOC = (BLACK, (128, 0, 0), (0, 128, 0), (128, 128, 0))


@pytest.mark.parametrize(
    "palettes",
    [
        [VOC],
        [VOC[:2], VOC, VOC[:3]],
        [(WHITE, BLACK)],
        [(BLACK, WHITE), (BLACK,)],
        [(BLACK, BLACK), (BLACK,), (BLACK, BLACK, BLACK)],
        [TWICE, TWICE[:3]],
        [(BLACK, RED, GREEN, WHITE), (BLACK, RED), (BLACK, RED, GREEN)],
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_indices_count_where_they_mean_the_same_colours(pairs, palettes, suffix):
    root = pairs((0, 1))
    indices, _ = with_palettes(root, palettes, suffix)
    data = whole(path=root)
    np.testing.assert_array_equal(masks_of(data)[..., 0], indices)
    assert data.classes == tuple(str(number) for number in range(indices.max() + 1))


def test_what_palettes_say_is_held_against_mask_values(pairs):
    root = pairs((0, 1))
    indices, _ = with_palettes(root, [(BLACK, RED, GREEN), (BLACK, GREEN), (BLACK, WHITE, RED)])
    meant = {0: "background", 1: "person", 2: "person"}
    np.testing.assert_array_equal(masks_of(whole(path=root, mask_values=meant))[..., 0], indices > 0)
    with pytest.raises(DataError, match=r"1\.png: index 1 of the palette is \[0, 200, 0\], unlike in .*0\.png"):
        whole(path=root, mask_values=(0, 1, 2))


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("second", [(BLACK, GREEN, RED), (GREEN, BLACK, RED), (RED, RED, BLACK, GREEN)])
def test_palettes_of_the_same_colours_count_by_their_colours(pairs, second, is_kept, monkeypatch, caplog):
    root = pairs((0, 1))
    if not is_kept:
        monkeypatch.setattr(image_files, "memory_budget", lambda: 0)
    _, colours = with_palettes(root, [(BLACK, RED, GREEN), second])
    caplog.set_level("INFO", "kerasrun")
    data = whole(path=root)
    assert data.classes == ("0", "1", "2")
    np.testing.assert_array_equal(np.array([BLACK, RED, GREEN])[masks_of(data)[..., 0]], colours)
    assert "`mask_colors: {class_0: [0, 0, 0], class_1: [200, 0, 0], class_2: [0, 200, 0]}`" in caplog.text


@pytest.mark.parametrize(
    ("second", "classes", "named"),
    [
        ((BLACK, GREEN, RED), ("sky", "road", "tree"), "sky: [0, 0, 0], road: [200, 0, 0], tree: [0, 200, 0]"),
        ((GREEN, RED), None, "class_0: [0, 0, 0], class_1: [200, 0, 0], class_2: [0, 200, 0]"),
        ((BLACK, WHITE, RED, GREEN), ("a", "b"), "class_2: [0, 200, 0], class_3: [255, 255, 255]"),
    ],
)
def test_palettes_of_other_colours_are_refused_with_the_mask_colors_to_write(pairs, second, classes, named):
    root = pairs((0, 1))
    with_palettes(root, [(BLACK, RED, GREEN), second])
    with pytest.raises(DataError, match=re.escape(named)):
        whole(path=root, classes=classes)


def test_white_before_black_in_every_palette_is_said(pairs, caplog):
    root = pairs((0, 1))
    with_palettes(root, [(WHITE, BLACK)])
    whole(path=root)
    assert "white is the first class" in caplog.text


def test_the_fingerprint_says_how_palettes_were_read(pairs, monkeypatch):
    root = pairs((0, 1))
    with_palettes(root, [(BLACK, WHITE), (WHITE, BLACK)])
    by_colour = whole(path=root).fingerprint
    monkeypatch.setattr(masks, "palettes_read", lambda scan, *_: scan)
    assert whole(path=root).fingerprint != by_colour


def with_colours(root, colours, numbers, mode="RGB", suffix=".png"):
    """Replace the masks by pictures of these colours, in which `numbers` occur; returns the numbers."""
    found = [mask_of(numbers, place) for place in range(3)]
    for place, mask in enumerate(found):
        (root / f"masks/{place}.png").unlink()
        picture = Image.fromarray(np.array(colours, np.uint8)[mask])
        (picture.quantize(256) if mode == "P" else picture.convert(mode)).save(root / f"masks/{place}{suffix}")
    return np.stack(found)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "1"])
@pytest.mark.parametrize("is_kept", [True, False])
def test_colours_are_classes_in_every_kind_of_picture(pairs, mode, is_kept, monkeypatch):
    root = pairs()
    colours = [WHITE, BLACK, (130, 130, 130)] if mode == "L" else [WHITE, BLACK] if mode == "1" else [RED, WHITE, GREEN]
    if not is_kept:
        monkeypatch.setattr(image_files, "memory_budget", lambda: 0)
    numbers = with_colours(root, colours, range(len(colours)), mode)
    names = ("first", "second", "third")[: len(colours)]
    data = whole(path=root, mask_colors=dict(zip(names, colours, strict=True)))
    assert data.classes == names
    np.testing.assert_array_equal(masks_of(data)[..., 0], numbers)
    turned = whole(path=root, mask_colors=dict(zip(names, colours, strict=True)), classes=names[::-1])
    np.testing.assert_array_equal(masks_of(turned)[..., 0], len(names) - 1 - numbers)


def test_the_rest_of_the_colours_may_be_a_class(pairs):
    root = pairs()
    numbers = with_colours(root, [RED, WHITE, GREEN, BLACK], range(4))
    data = whole(path=root, mask_colors={"other": "rest", "white": WHITE})
    np.testing.assert_array_equal(masks_of(data)[..., 0], numbers == 1)


def test_a_colour_that_is_no_class_is_told_the_most_frequent_first(pairs):
    root = pairs()
    with_colours(root, [RED, WHITE, GREEN, BLACK], [0, 1, 2, 2, 2, 2, 3])
    with pytest.raises(DataError, match=r"the colours \[0, 200, 0\], \[0, 0, 0\], which `mask_colors` does not have"):
        whole(path=root, mask_colors={"red": RED, "white": WHITE})
    with_colours(root, [RED, WHITE], [0, 1], suffix=".jpg")
    for given in ({"red": RED, "white": WHITE}, {"red": RED, "other": "rest"}):
        with pytest.raises(DataError, match="JPEG blurs colours"):
            whole(path=root, mask_colors=given)


def test_mask_colors_do_not_take_grey_values_of_16_bits_for_colours(pairs):
    root = pairs((0, 1))
    save(root / "masks/1.png", mask_of([0, 1]).astype(np.uint16) * 300)
    with pytest.raises(DataError, match="the value 300"):
        whole(path=root, mask_colors={"a": BLACK, "b": (1, 1, 1)})


UPRIGHT = {  # CIPA DC-008, 4.6.5.1: where row 0 and column 0 of the file are to be seen
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: a.T[:, ::-1],
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: a.T[::-1],
}


def save_turned(path, array, orientation):
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    save(path, array, exif=exif)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("turned", ["images", "masks"])
@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("size", [(6, 8), (8, 8)])
def test_an_orientation_of_one_of_the_two_is_told(tmp_path, suffix, turned, orientation, size, caplog):
    grey, mask = mask_of(range(256), size=size), mask_of([0, 255], size=size)
    tags = {"images": 1, "masks": 1, turned: orientation}
    save_turned(tmp_path / f"images/1{suffix}", grey, tags["images"])
    save_turned(tmp_path / "masks/1.png", mask, tags["masks"])
    if orientation > 4 and size != (8, 8):
        with pytest.raises(
            DataError, match=r"must have one size; their EXIF orientations are \d and \d: turn the mask"
        ):
            whole(path=tmp_path)
        if turned == "images":
            save_turned(tmp_path / f"images/1{suffix}", grey.T, orientation)
        else:
            save_turned(tmp_path / "masks/1.png", mask.T, orientation)
        whole(path=tmp_path)
        assert not caplog.text  # the sizes tell that one was drawn on the other as it is seen
    else:
        whole(path=tmp_path)
        assert "an EXIF orientation that the mask does not have" in caplog.text


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_turns_with_its_image(tmp_path, orientation, caplog):
    mask = mask_of([0, 255])
    save_turned(tmp_path / "images/1.jpg", mask_of(range(256)), orientation)
    save_turned(tmp_path / "masks/1.png", mask, orientation)
    found = masks_of(whole(path=tmp_path))
    np.testing.assert_array_equal(found[0, ..., 0], UPRIGHT[orientation](mask) // 255)
    assert not caplog.text


@pytest.mark.parametrize(
    ("values", "keys", "classes", "kept"),
    [
        ([0, 1, 2, 255], {"ignore": [255]}, "0 1 2", [0, 1, 2]),
        ([0, 1, 2, 255], {"ignore": 255, "classes": ["a", "b", "c"]}, "a b c", [0, 1, 2]),
        ([0, 1, 2], {"ignore": "void", "classes": ["a", "void", "c"]}, "a c", [0, 2]),
        ([0, 1, 2, 3], {"ignore": [0]}, "1 2 3", [1, 2, 3]),
        ([0, 1, 2, 3], {"ignore": [0], "classes": ["a", "b", "c"]}, "a b c", [1, 2, 3]),
        ([0, 128, 255], {"ignore": [128]}, "0 255", [0, 255]),
        ([5, 9, 200], {"ignore": [200], "mask_values": [9, 5]}, "9 5", [9, 5]),
        ([5, 9, 200], {"ignore": ["void"], "mask_values": {5: "a", 9: "b", 200: "void"}}, "a b", [5, 9]),
        ([5, 9, 200], {"ignore": [200], "mask_values": {5: "a", 9: "b", 200: "void"}}, "a b", [5, 9]),
        ([5, 9, 77, 200], {"ignore": ["void"], "mask_values": {"void": "rest", "a": 9, "b": 5}}, "a b", [9, 5]),
        (
            [5, 9, 200],
            {"ignore": ["void"], "classes": ["b", "a"], "mask_values": {5: "a", 9: "b", 200: "void"}},
            "b a",
            [9, 5],
        ),
        (
            [0, 50, 90],
            {"ignore": ["void"], "mask_colors": {"a": (90, 90, 90), "void": (0, 0, 0), "b": "rest"}},
            "a b",
            [90, 50],
        ),
    ],
)
def test_ignored_pixels_have_no_class(pairs, values, keys, classes, kept):
    source = ImageMasks(path=pairs(values), **keys)
    data = source.open()
    assert source.ignores
    assert source.listed_classes in (None, data.classes)
    assert data.classes == tuple(classes.split())
    number_of = {value: number for number, value in enumerate(kept)}
    expected = np.vectorize(lambda value: number_of.get(value, 255))(mask_of(values, 1))
    np.testing.assert_array_equal(masks_of(data)[1, ..., 0], expected)


def test_the_border_of_pascal_voc_is_told_what_to_do(pairs):
    root = pairs([0, 1, 2, 255])
    with pytest.raises(DataError, match=r"or `classes`, or leave 255 out by `ignore: \[255\]`"):
        whole(path=root)
    with pytest.raises(DataError, match=r"leave such pixels out by `ignore: \[255\]`"):
        whole(path=root, classes=("a", "b", "c"))


def test_what_is_ignored_must_leave_two_classes_and_be_known(pairs):
    for keys, words in [
        ({"ignore": ["void"]}, "classes, which are named by classes, mask_values or mask_colors; void is neither"),
        ({"ignore": ["viod"], "classes": ["a", "b", "void"]}, "which are a, b, void; viod is neither"),
        ({"ignore": ["b"], "classes": ["a", "b"]}, "ignore to leave at least two classes"),
        ({"ignore": [0], "mask_colors": {"a": BLACK, "b": WHITE, "c": RED}}, "0 is neither"),
        ({"ignore": [256]}, "less than or equal to 255"),
    ]:
        with pytest.raises(ValidationError, match=words):
            ImageMasks(path="x", **keys)
    with pytest.raises(DataError, match=r"`ignore` leaves 0; expected two classes"):
        whole(path=pairs(), ignore=[255], mask_values=[0, 255])
