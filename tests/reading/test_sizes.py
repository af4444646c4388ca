"""What a file says of its size is not believed: nothing is unpacked or read that cannot be there."""

import gzip
import io
import struct
import time
import tracemalloc
import zipfile
import zlib
from functools import partial

import numpy as np
import pytest
from PIL import Image

from kerasrun import model_file
from kerasrun.errors import DataError, KerasrunError, ModelError, ModelFileError, UnreadableImageError
from kerasrun.experiment.draft import draft_experiment
from kerasrun.models._architecture import read_architecture
from kerasrun.reading import memory
from kerasrun.reading.archives import check_weights_in, damaged_entry, opened_archive, read_text
from kerasrun.reading.images import read_image
from kerasrun.results.examples import _from_arrays
from kerasrun.sources.csv import Csv
from kerasrun.sources.directory import Directory
from kerasrun.sources.idx import Idx
from kerasrun.sources.image_masks import ImageMasks
from kerasrun.sources.npy import Npy
from kerasrun.sources.npz import Npz
from kerasrun.sources.parquet import Parquet

Y = np.arange(6) % 2
LARGE = 3 * 2**27
"""More bytes than any of these may take."""


@pytest.fixture(autouse=True)
def bounded():
    """Every refusal takes a moment, and little memory."""
    tracemalloc.start()
    begin = time.monotonic()
    yield
    seconds, peak = time.monotonic() - begin, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**27
    assert seconds < 20


def header(shape, dtype="|u1"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def archive(path, **entries):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def zeros(count, start=b""):
    """Return `start` and so many zeros, packed by deflate: after a full flush, blocks do not refer to each other."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    begin = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return begin + block * (count // 2**20) + packer.flush()


def packed(path, name, start, count, others):
    """Write a zip in which an entry begins with `start` and goes on with zeros."""
    with zipfile.ZipFile(path, "w") as file:
        entry = zipfile.ZipInfo(name)
        file.writestr(entry, zeros(count, start))
        # It is there as it is packed; now its headers say so.
        entry.compress_type, entry.file_size, entry.CRC = zipfile.ZIP_DEFLATED, len(start) + count, zlib.crc32(start)
        for _ in range(count // 2**20):
            entry.CRC = zlib.crc32(bytes(2**20), entry.CRC)
        file.fp.seek(entry.header_offset)
        file.fp.write(entry.FileHeader())
        file.fp.seek(file.start_dir)
        for other, content in others.items():
            file.writestr(other, content)
    return path


def test_what_is_packed_here_could_be_unpacked(tmp_path):
    path = packed(tmp_path / "a.zip", "a", b"begin", 2**22, {"b": "end"})
    with zipfile.ZipFile(path) as file:
        assert (file.read("a"), file.read("b")) == (b"begin" + bytes(2**22), b"end")
        assert path.stat().st_size < 2**22 // 500
    assert gzip.decompress(gzipped_zeros(2**22, zlib.crc32(bytes(2**22)))) == bytes(2**22)


@pytest.mark.parametrize("shape", [(2**40, 4), (2**62, 2**62), (6, 2**40), (2**40,), (0, 2**62, 2**62), (2**40, 0)])
@pytest.mark.parametrize("dtype", ["|u1", "<f8", "<U9999", "|V2147483647"])
@pytest.mark.parametrize("name", ["x_train", "y_train"])
def test_a_header_of_an_array_is_not_believed(tmp_path, shape, dtype, name):
    arrays = {"x_train": saved(np.zeros((6, 4))), "y_train": saved(Y)} | {name: header(shape, dtype) + bytes(99)}
    path = archive(tmp_path / "a.npz", **{f"{key}.npy": content for key, content in arrays.items()})
    with pytest.raises(DataError, match=rf"a\.npz: {name}"):
        Npz(path=path).open()
    files = {key: tmp_path / f"{key}.npy" for key in arrays}
    for key, content in arrays.items():
        files[key].write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}\.npy"):
        Npy(**files).open()
    with pytest.raises(DataError, match=rf"{name}\.npy"):
        _from_arrays([files[name]], (4,), None)


def test_an_array_that_unpacks_without_end_is_not_unpacked(tmp_path):
    path = packed(tmp_path / "a.npz", "x_train.npy", header((LARGE // 2**20, 2**20)), LARGE, {"y_train.npy": saved(Y)})
    with pytest.raises(DataError, match=r"a\.npz: .*promises 402,653,\d+ bytes, of which \d+,\d+ are stored"):
        Npz(path=path).open()


def test_an_array_of_many_zeros_is_read(tmp_path):
    """As one-hot labels of many classes are."""
    x = np.zeros((1000, 200), np.float32)
    np.savez_compressed(tmp_path / "a.npz", x_train=x, y_train=np.eye(1000))
    assert Npz(path=tmp_path / "a.npz").open().classes[-1] == "999"


def test_an_array_with_holes_is_not_read(tmp_path):
    files = {name: tmp_path / f"{name}.npy" for name in ("x_train", "y_train")}
    for name, shape in (("x_train", (2**30, 8)), ("y_train", (2**30,))):
        with files[name].open("wb") as file:
            file.write(header(shape))
            file.truncate(file.tell() + np.prod(shape))
    with pytest.raises(DataError, match=r"x_train\.npy: promises 8,589,934,592 bytes, of which \d,\d+ are stored"):
        Npy(**files).open()
    with pytest.raises(DataError, match=r"x_train\.npy: promises 8,589,934,592 bytes"):
        _from_arrays([files["x_train"]], (8,), None)


@pytest.mark.parametrize("name", ["x_train", "y_train"])
def test_what_is_more_than_the_memory_is_told(tmp_path, monkeypatch, name):
    arrays = {"x_train": np.zeros((6, 4)), "y_train": Y} | {name: np.ones((6, 9000))}
    np.savez(tmp_path / "a.npz", **arrays)
    files = {key: tmp_path / f"{key}.npy" for key in arrays}
    for key, array in arrays.items():
        np.save(files[key], array)
    monkeypatch.setattr(memory, "available_memory", lambda: 10_000)
    with pytest.raises(DataError, match=rf"a\.npz: {name} has 432,128 bytes, but 10,000 bytes of memory are free"):
        Npz(path=tmp_path / "a.npz").open()
    with pytest.raises(DataError, match=r"\.npy: has 216,000 bytes, but 10,000 bytes of memory are free; predict it"):
        _from_arrays([files[name]], (9000,), None)
    if name == "y_train":
        with pytest.raises(DataError, match=r"y_train\.npy: has 432,000 bytes, but 10,000 bytes of memory are free"):
            Npy(**files).open()


def idx(folder, start, content=b""):
    folder.mkdir()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(start) + content)
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 6) + bytes(6))
    return folder


def gzipped_zeros(count, crc=0):
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + zeros(count) + struct.pack("<2I", crc, count)


@pytest.mark.parametrize("count", [2**20, 2**32 - 1])
def test_a_header_of_images_is_not_believed(tmp_path, count):
    folder = idx(tmp_path / "a", struct.pack(">4I", 0x803, count, 1024, 1024), gzipped_zeros(LARGE))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: promises [\d,]+ bytes, of which [\d,]+ are"):
        Idx(path=folder).open()


def test_what_follows_the_images_is_not_unpacked(tmp_path):
    folder = idx(tmp_path / "a", struct.pack(">4I", 0x803, 6, 2, 2) + bytes(24), gzipped_zeros(LARGE))
    with pytest.raises(DataError, match=r"has trailing bytes: 65576 bytes or more; expected 40 for 6 × 2 × 2 images"):
        Idx(path=folder).open()


@pytest.mark.parametrize("name", ["config.json", "kerasrun.json", "model.weights.h5", "other"])
def test_a_model_file_that_unpacks_without_end_is_not_unpacked(tmp_path, name):
    others = {entry: "{}" for entry in ("config.json", "kerasrun.json") if entry != name}
    path = packed(tmp_path / "a.keras", name, b"", LARGE, others)
    for read, error in (
        (model_file.check, ModelFileError),
        (model_file.read_input_shape, ModelFileError),
        (read_architecture, ModelError),
    ):
        with pytest.raises(error, match=r"a\.keras: .*promises 402,653,\d+ bytes, of which"):
            read(path)


@pytest.mark.parametrize("name", ["config.json", "kerasrun.json"])
def test_a_text_in_a_model_file_has_no_more_than_any_network(tmp_path, name):
    entries = {"config.json": "{}", "kerasrun.json": "{}"} | {name: '["a"' + ', "a"' * (2**21 - 1) + "]"}
    path = archive(tmp_path / "a.keras", **entries)
    read = read_architecture if name == "config.json" else model_file.check
    with pytest.raises(KerasrunError, match=rf"{name} has 10,485,760 bytes; expected at most 8,388,608"):
        read(path)


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_an_architecture_has_no_more_than_any_network(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(b" " * 2**23 + b"{}")
    with pytest.raises(ModelError, match=rf"a\{suffix}: cannot be read .* it has more than 8,388,608 bytes"):
        read_architecture(tmp_path / f"a{suffix}")


def test_an_archive_of_very_many_entries_is_not_opened(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        for number in range(5_000):
            file.writestr(f"{number:01000}", b"")
    (tmp_path / "a.keras").write_bytes((tmp_path / "a.npz").read_bytes())
    for read in (model_file.check, read_architecture, lambda path: Npz(path=path.with_suffix(".npz")).open()):
        with pytest.raises(KerasrunError, match="its directory has more than 4,194,304 bytes"):
            read(tmp_path / "a.keras")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_is_packed_otherwise_is_told(tmp_path, packing):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", packing) as file:
        file.writestr("config.json", "{}")
    (tmp_path / "a.keras").write_bytes((tmp_path / "a.npz").read_bytes())
    for read in (model_file.check, read_architecture, lambda path: Npz(path=path.with_suffix(".npz")).open()):
        with pytest.raises(KerasrunError, match=r"config\.json in it is packed otherwise than by deflate"):
            read(tmp_path / "a.keras")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_an_entry_that_unpacks_to_more_than_it_promises_is_not_unpacked(tmp_path, name):
    """The checksum is that of what is promised, as `zipfile` compares it."""
    path = packed(tmp_path / "a.keras", name, b"", 2**28, {})
    with zipfile.ZipFile(path) as file:
        crc = file.getinfo(name).CRC
    content = path.read_bytes()
    for old, new in ((2**28, 100), (crc, zlib.crc32(bytes(100)))):
        assert content.count(struct.pack("<I", old)) == 2
        content = content.replace(struct.pack("<I", old), struct.pack("<I", new))
    path.write_bytes(content)
    with opened_archive(path) as file:
        assert damaged_entry(file) == name
    read = check_weights_in if name.endswith(".h5") else partial(read_text, name=name)
    with pytest.raises(zipfile.BadZipFile), opened_archive(path) as file:
        read(file)


@pytest.mark.parametrize("delimiter", [",", "whitespace"])
def test_a_line_without_an_end_is_not_read(tmp_path, delimiter):
    with (tmp_path / "a.csv").open("wb") as file:
        file.write(b"x,y\n" if delimiter == "," else b"x y\n")
        file.truncate(2**32)
    with pytest.raises(DataError, match=r"a\.csv:2: a line of more than 16,777,216 bytes"):
        Csv(train=tmp_path / "a.csv", label="y", delimiter=delimiter).open()
    with pytest.raises(DataError, match=r"a\.csv"):
        draft_experiment(tmp_path / "a.csv", tmp_path / "draft.yaml")


@pytest.mark.parametrize("value", ["1" * 131_073, '"' + "1\n" * 70_000 + '"'])
def test_a_long_value_is_told_with_its_line(tmp_path, value):
    (tmp_path / "a.csv").write_text(f"x,y\n{value},a\n1,b\n")
    with pytest.raises(DataError, match=r"a\.csv:2: field larger than field limit \(131072\)"):
        Csv(train=tmp_path / "a.csv", label="y").open()


def test_rows_that_take_no_place_are_not_read(tmp_path):
    """Parquet stores a column of one value in a few bytes, however often it is there."""
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({name: np.zeros(10**6, np.int8) for name in "xy"})
    with parquet.ParquetWriter(tmp_path / "a.parquet", table.schema) as file:
        for _ in range(50):
            file.write_table(table)
    with pytest.raises(DataError, match=r"a\.parquet: promises 5,400,000,000 bytes, of which [\d,]+ are stored"):
        Parquet(train=tmp_path / "a.parquet", label="y").open()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, extra=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = zlib.compress(bytes(height * (width + 1))) if width * height < 10**6 else b""
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


GIF = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\2\2\x44\1\0;"
TEXT = {
    "zTXt": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7))),
    "iTXt": chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(10**7))),
    "iCCP": chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**7))),
}


def images(folder, content, suffix):
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / f"{name}/1{suffix}").write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (png(20_000, 10_000), ".png"),  # 200 megapixels
        (png(2**31 - 1, 2**31 - 1), ".png"),
        (png(10_000, 10_000), ".png"),  # of which Pillow only warns
        (b"P5 99999 99999 255\n", ".pgm"),
        (b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + GIF, ".gif"),
        (b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**20, 2**20, 1, 24, 0, 0, 0, 0, 0, 0), ".bmp"),
    ],
)
def test_images_of_too_many_pixels_are_not_decoded(tmp_path, content, suffix):
    folder = images(tmp_path / "x/train", content, suffix).parent
    with pytest.raises(DataError, match=rf"train/a/1\{suffix}: is larger than 89,478,485 pixels; scale it down"):
        Directory(path=folder, image_size=(4, 4)).open().require_read()
    masks = images(tmp_path / "y", content, suffix)
    (masks / "a").rename(masks / "images")
    (masks / "b").rename(masks / "masks")
    Image.new("L", (4, 4)).save(masks / "images/1.png")
    if suffix != ".png":
        (masks / f"images/1{suffix}").unlink()
    with pytest.raises(DataError, match=rf"masks/1\{suffix}: is larger than 89,478,485 pixels"):
        ImageMasks(path=masks, image_size=(4, 4)).open()


def test_an_image_that_is_long_and_narrow_takes_no_memory(tmp_path):
    with pytest.raises(UnreadableImageError, match="has a side of more than 65,535 pixels"):
        read_image(png(1, 80_000_000), "grayscale")


def test_a_tile_that_is_larger_than_its_image_takes_no_memory():
    # Width, height, bits, deflate, black is zero, width and height of a tile, its offset and length.
    fields = {256: 4, 257: 4, 258: 8, 259: 8, 262: 1, 322: 2**20, 323: 2**10, 324: 8, 325: 4}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    with pytest.raises(UnreadableImageError, match="is larger than 89,478,485 pixels"):
        read_image(b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4), "grayscale")


def test_a_progressive_image_of_very_many_scans_is_not_decoded():
    file = io.BytesIO()
    Image.new("L", (64, 64)).save(file, "JPEG", progressive=True)
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x05\x00\x00"
    assert read_image(file.getvalue(), "grayscale").size == (64, 64)
    with pytest.raises(UnreadableImageError, match="has more than 500 scans"):
        read_image(file.getvalue()[:-2] + 600 * scan + b"\xff\xd9", "grayscale")


def test_an_image_of_holes_is_not_walked_through(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    folder = images(tmp_path / "x/train", file.getvalue()[:20], ".jpg")
    for path in folder.rglob("*.jpg"):
        with path.open("r+b") as image:
            image.truncate(2**40)
    with pytest.raises(DataError, match=r"1\.jpg: cannot be read: promises 1,099,511,627,776 bytes, of which"):
        Directory(path=folder.parent).open().require_read()
    with pytest.raises(DataError, match=r"1\.jpg: not a readable image"):
        draft_experiment(folder.parent, tmp_path / "draft.yaml")


@pytest.mark.parametrize("kind", TEXT)
def test_text_in_an_image_is_not_unpacked(tmp_path, kind):
    folder = images(tmp_path / "x/train", png(4, 4, TEXT[kind] * 20), ".png").parent
    assert len(Directory(path=folder).open().splits["train"]) == 2


def test_a_large_mask_takes_little_more_than_its_pixels(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        Image.new("L", (3000, 3000), 7).save(tmp_path / f"{name}/1.png")
    with pytest.raises(DataError, match="mask_values"):
        ImageMasks(path=tmp_path, image_size=(4, 4)).open()
    assert tracemalloc.get_traced_memory()[1] < 3 * 9_000_000
