"""Small sound images, arrays and tables, and then others: in their values, their headers or their bytes."""

import contextlib
import csv
import functools
import gzip
import io
import os
import pickle
import random
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

from kerasrun.components import Kind, kinds
from kerasrun.errors import DataError, KerasrunError
from kerasrun.experiment.draft import draft_experiment
from kerasrun.reading.data import ImageFormat
from kerasrun.reading.image_files import read_images
from tests.families import own_tests
from tests.fuzz.experiments import mutated_bytes

EXAMPLES = 6
EXTREME = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 9000, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass(frozen=True)
class Case:
    """Data of which some files were changed."""

    kind: str
    fields: dict[str, Any]
    """What the experiment says of the source."""
    folder: Path
    changed: tuple[Path, ...]

    @property
    def looked_at(self) -> Path:
        """What `kerasrun init --data` would be given."""
        return self.fields["train"] if "train" in self.fields else self.fields.get("path", self.folder)


def prepare() -> None:
    """Import what every case needs, and start the threads."""
    buffer = io.BytesIO()
    for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"):
        Image.new("RGB", (8, 6)).save(buffer, form)
    _npz_bomb(), _gzip_bomb()  # before memory is limited


def make(rng: random.Random, folder: Path) -> Case:
    kind = rng.choice((*MAKERS, "directory", "directory", "image_masks"))
    fields, files = MAKERS[kind](rng, folder)
    changed = rng.sample(files, rng.choice((0, 1, 1, 1, 2)) if len(files) > 1 else 1)
    renamed = {}
    for file in changed:
        if rng.random() < 0.8:
            renamed[file] = _change(rng, file)
    fields = {key: renamed.get(value, value) if isinstance(value, Path) else value for key, value in fields.items()}
    (folder / "fields.txt").write_text(f"{kind} {fields}\n{changed}")
    return Case(kind, fields, folder, tuple(renamed.get(file, file) for file in changed))


def check(case: Case) -> str:
    """Do what `init --data` and `train` do with data, and what `predict` does with images."""
    with contextlib.suppress(DataError):
        draft_experiment(case.looked_at, case.folder / "draft.yaml")
    for file in case.changed:
        if file.is_file() and case.kind in ("directory", "image_masks"):
            read_images([file], ImageFormat(4, 4, "rgb"), resize=True)
    data = kinds("kerasrun.sources")[case.kind].model_validate(case.fields).open()
    data.require_read()
    for split in data.splits.values():
        examples = split.inputs.take(np.arange(len(split)))
        assert examples.shape == (len(split), *split.inputs.example_shape)
        assert examples.dtype in (np.uint8, np.float32)
        may_be_missing = data.row_format is not None and any(one.gaps for one in data.row_format.columns)
        assert (np.isfinite(examples) | (may_be_missing & np.isnan(examples))).all()
        labels = split.labels if isinstance(split.labels, np.ndarray) else split.labels.take(np.arange(len(split)))
        assert len(labels) == len(split)
        assert data.label_kind not in ("classes", "masks") or labels.max() < len(data.classes)
    return "accepted"


def what_is_wrong_with(error: KerasrunError, case: Case) -> str | None:
    """Say why the refusal of data is not one that helps."""
    if not isinstance(error, DataError):
        return f"{type(error).__name__}, not DataError"
    return None if str(case.folder) in str(error) else "a refusal that names no file"


# -- images


def _directory(rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    same = _picture(rng) if rng.random() < 0.5 else None
    files = []
    for split in ("train", "validation"):
        for name in ("cat", "dog"):
            for number in range(2 if split == "train" else 1):
                content, suffix = same or _picture(rng)
                files.append(_write(folder / "x" / split / name / f"{number}{suffix}", content))
    return {
        "path": folder / "x",
        "image_size": rng.choice((None, (6, 8), (5, 5))),
        "color_mode": rng.choice(("grayscale", "rgb", "rgba")),
        "fit_mode": rng.choice(("resize", "pad")),
        "on_bad_file": rng.choice(("error", "error", "skip")),
    }, files


def _image_masks(rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    files = []
    for number in range(3):
        content, suffix = _picture(rng)
        files.append(_write(folder / "x/images" / f"{number}{suffix}", content))
        values = np.array([[rng.choice((0, 255)) for _ in range(8)] for _ in range(6)], np.uint8)
        mask = Image.fromarray(values).convert(rng.choice(("L", "L", "P", "1", "RGB")))
        files.append(_saved(mask, folder / "x/masks" / f"{number}{rng.choice(('.png', '.png', '.tif', '.bmp'))}"))
    return {
        "path": folder / "x",
        "image_size": rng.choice((None, (4, 4))),
        "mask_values": rng.choice((None, (0, 255), {0: "a", 255: "b"})),
    }, files


def _picture(rng: random.Random) -> tuple[bytes, str]:
    """Return an image file of 8×6 pixels, and the end of its name."""
    form, suffix, modes = rng.choice(FORMS)
    mode = rng.choice(modes)
    pixels = np.frombuffer(rng.randbytes(6 * 8 * 3), np.uint8).reshape(6, 8, 3)
    image = Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(np.frombuffer(rng.randbytes(96), np.uint16).reshape(6, 8))
    elif mode != "RGB":
        image = image.convert("RGBA" if mode == "PA" else mode)
    options: dict[str, Any] = {}
    if form in ("JPEG", "PNG", "WEBP", "TIFF", "MPO") and rng.random() < 0.4:
        options["exif"] = b"Exif\0\0" * (form != "TIFF") + _exif(rng)
    if form == "JPEG":
        options |= {"progressive": rng.random() < 0.3, "comment": rng.randbytes(9), "quality": rng.choice((5, 95))}
    if form == "TIFF":
        options = {"compression": rng.choice((None, "tiff_lzw", "tiff_deflate", "packbits"))}
    if form in ("GIF", "WEBP", "PNG", "MPO", "TIFF") and (rng.random() < 0.2 or form == "MPO"):
        options |= {"save_all": True, "append_images": [image.rotate(180)]}
    if rng.random() < 0.2 and form in ("JPEG", "PNG", "WEBP"):
        options["icc_profile"] = rng.randbytes(40)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue(), rng.choice((suffix, suffix, suffix.upper()))


FORMS = (
    *(("PNG", ".png", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),) * 2,
    *(("JPEG", ".jpg", ("L", "RGB", "CMYK")), ("JPEG", ".jpeg", ("L", "RGB", "YCbCr")), ("JPEG", ".jfif", ("RGB",))),
    *(("GIF", ".gif", ("P", "L", "1")), ("BMP", ".bmp", ("1", "L", "P", "RGB", "RGBA"))),
    *(("WEBP", ".webp", ("RGB", "RGBA")), ("MPO", ".jpg", ("RGB",))),
    ("TIFF", ".tif", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK", "YCbCr", "LAB")),
    ("PPM", ".ppm", ("1", "L", "RGB", "I;16")),
)


def _exif(rng: random.Random) -> bytes:
    """Return EXIF data of which tags, types, counts and values are any."""
    order = rng.choice("<>")
    tags = (0x0112, 0x0112, 0x010E, 0x8769, 0x8825, 0xA005, 0x0201, 0x9286, 0x011A, rng.randrange(65536))
    chosen = sorted(rng.choice(tags) for _ in range(rng.randrange(5)))
    entries = b""
    for tag in chosen:
        kind, count = rng.choice((1, 2, 3, 3, 4, 5, 7, 9, 10, 12, 13, 99)), rng.choice((1, 1, 1, 0, 2, 5, 2**31))
        entries += struct.pack(f"{order}HHIHH", tag, kind, count, rng.choice((1, 3, 6, 8, 0, 9, 65535)), 0)
    begin = rng.choice((8, 8, 8, 0, 2**31))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", begin, len(chosen))
    return head + entries + struct.pack(f"{order}I", rng.choice((0, 8, 2**31))) + rng.randbytes(rng.choice((0, 8)))


# -- arrays


def _arrays(rng: random.Random) -> dict[str, Any]:
    """Return images, or rows, and their labels; some with values, types or shapes that do not fit."""
    shape = rng.choice(((6, 8), (6, 8, 3), (6, 8, 1), (4,)))
    x = np.frombuffer(rng.randbytes(EXAMPLES * int(np.prod(shape))), np.uint8).reshape(EXAMPLES, *shape).copy()
    y = np.arange(EXAMPLES) % 2
    arrays = {"x_train": x, "y_train": y, "x_test": x[:2], "y_test": y[:2]}
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        name = rng.choice(list(arrays))
        with contextlib.suppress(TypeError, ValueError, IndexError):  # a second change may not suit the first
            arrays[name] = rng.choice(ARRAY_CHANGES)(rng, arrays[name])
    return arrays


def _with(rng: random.Random, array: Any, dtype: str, *values: float) -> Any:
    found = np.array(array, dtype)
    found.reshape(-1)[rng.randrange(max(1, found.size)) % max(1, found.size)] = rng.choice(values)
    return found


ARRAY_CHANGES: tuple[Callable[[random.Random, Any], Any], ...] = (
    lambda rng, a: a.astype(rng.choice(("f2", "f4", "f8", ">f4", "g", "i1", "i8", ">i2", "u2", "u8", "?", "c8"))),
    lambda rng, a: a.astype(rng.choice(("U3", "S3"))),
    lambda rng, a: np.zeros(a.shape, rng.choice(("M8[s]", "m8[D]", "V4", "U0", "S0"))),
    lambda rng, a: np.zeros(a.shape, [("a", "u1"), ("b", "f4")]),
    lambda rng, a: a[:0],
    lambda rng, a: a[..., np.newaxis],
    lambda rng, a: a[..., np.newaxis, np.newaxis, np.newaxis],
    lambda rng, a: a[0],
    lambda rng, a: np.array(rng.choice((0, 1.5, "a", np.nan))),
    lambda rng, a: a[: rng.randrange(1, len(a)) if len(a) > 1 else 1],
    lambda rng, a: a.T,
    lambda rng, a: np.zeros((*a.shape[:-1], 0), a.dtype),
    lambda rng, a: np.asfortranarray(a),
    lambda rng, a: _with(rng, a, "f4", np.nan, np.inf, -np.inf, 1e30, -1, 0.5),
    lambda rng, a: _with(rng, a, "f8", np.nan, 1e300, -1e300, 1e-300),
    lambda rng, a: _with(rng, a, "i8", -1, 2**40, -(2**60), 255, 256),
    lambda rng, a: _with(rng, a, "u8", 2**63, 2**32, 1000),
    lambda rng, a: np.eye(max(2, len(a)))[: len(a)] if a.ndim else a,
)


def _npy(rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    fields = {}
    for name, array in _arrays(rng).items():
        fields[name] = folder / f"{name}.npy"
        np.save(fields[name], array, allow_pickle=False)
    return {**fields, "labels": _labels(rng)}, list(fields.values())


def _npz(rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    path = folder / "a.npz"
    rng.choice((np.savez, np.savez_compressed))(path, **_arrays(rng))
    if rng.random() < 0.2:  # the archive is sound, what it holds is not
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = rng.choice(list(members))
        members[name] = _changed_npy(rng, members[name])
        with zipfile.ZipFile(
            path, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        ) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    return {"path": path, "labels": _labels(rng)}, [path]


def _hdf5(rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    path = folder / "a.h5"
    with h5py.File(path, "w", libver=rng.choice(("earliest", "latest"))) as file:
        for name, array in _arrays(rng).items():
            if array.dtype.kind in "UMm":
                array = array.astype("S4") if array.dtype.kind == "U" else array.astype("i8")
            packed = {"chunks": True, "compression": rng.choice(("gzip", "lzf")), "shuffle": True, "fletcher32": True}
            options = packed if rng.random() < 0.5 and array.ndim and array.size and array.dtype.kind != "V" else {}
            file.create_dataset(name, data=array, **options)
        _odd_items(rng, file)
    return {"path": path, "labels": _labels(rng)}, [path]


def _odd_items(rng: random.Random, file: h5py.File) -> None:
    name = rng.choice(("x_train", "y_train", "x_test", "y_test"))
    odd = rng.randrange(24)
    if odd < 8 or odd in (9, 10, 11):
        del file[name]
    match odd:
        case 0:
            file[name] = h5py.Empty("f4")
        case 1:
            file[name] = h5py.SoftLink(rng.choice(("/nowhere", f"/{name}", "/")))
        case 2:
            file[name] = h5py.ExternalLink("none.h5", "/a")
        case 3:
            file.create_dataset(name, data=["a", "b"] * 3, dtype=h5py.string_dtype())
        case 4:
            file.create_dataset(name, (EXAMPLES,), dtype=h5py.vlen_dtype(np.uint8))
        case 5:
            file.create_dataset(name, (EXAMPLES,), dtype=h5py.ref_dtype)
        case 6:
            file.create_dataset(name, (EXAMPLES, 10**5, 10**5), "u1", chunks=(1, 100, 100))
        case 7:
            file.create_group(name)
        case 8:
            file["group/loop"] = h5py.SoftLink("/group")
        case 9:
            source = rng.choice(("a.h5", "/etc/passwd", "part.h5", "x_train.npy"))
            file.create_dataset(name, (EXAMPLES, 4), "u1", external=[(source, 0, h5py.h5f.UNLIMITED)])
        case 10:
            layout = h5py.VirtualLayout((EXAMPLES, 4), np.uint8)
            source, array = rng.choice((".", "a.h5", "part.h5", "../a.h5", "%%")), rng.choice((name, "y_train", "/x"))
            layout[:] = h5py.VirtualSource(source, array, (EXAMPLES, 4))
            file.create_virtual_dataset(name, layout)
        case 11:
            promised = rng.choice(((2**40, 4), (EXAMPLES, 2**40), (2**20, 2**20), (2**26,)))
            file.create_dataset(name, promised, "u1", chunks=rng.choice((True, None)), maxshape=None)
        case 12:
            group = file
            for _ in range(rng.choice((50, 101, 3000))):
                group = group.create_group("g")
        case 13:
            file["group/all"] = file["/"]
        case 14:
            file["other"] = h5py.ExternalLink(rng.choice(("a.h5", "/etc/passwd")), "/")


def _idx(rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    files = []
    for prefix, count in (("train", EXAMPLES), ("t10k", 2)):
        packed = rng.random() < 0.5
        for name, dimensions, shape in (("images-idx3", 3, (count, 6, 8)), ("labels-idx1", 1, (count,))):
            shape = (rng.choice(EXTREME), *shape[1:]) if rng.random() < 0.05 else shape
            values = (
                rng.randbytes(int(np.prod((count, *shape[1:]))))
                if dimensions == 3
                else bytes(i % 2 for i in range(count))
            )
            content = struct.pack(f">HBB{dimensions}I", 0, 8, dimensions, *shape) + values
            path = folder / f"{prefix}-{name}-ubyte{'.gz' * packed}"
            files.append(_write(path, gzip.compress(content, mtime=0) if packed else content))
    return {"path": folder}, files


def _keras_dataset(rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    name = rng.choice(("mnist", "cifar10", "cifar100", "california_housing"))
    if name in ("mnist", "california_housing"):
        path, arrays = folder / f"{name}.npz", _arrays(rng)
        if name != "mnist":
            arrays = {"x": arrays["x_train"], "y": arrays["y_train"]}
        np.savez(path, **arrays)
        return {"name": name, "path": folder}, [path]
    inner = folder / f"cifar-{name[5:]}-{'batches-py' if name == 'cifar10' else 'python'}-target"
    inner /= inner.name.removesuffix("-target")
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"] if name == "cifar10" else ["train", "test"]
    files = []
    for one in names:
        rows = np.frombuffer(rng.randbytes(2 * 3072), np.uint8).reshape(2, 3072)
        rows = rng.choice(ARRAY_CHANGES)(rng, rows) if rng.random() < 0.1 else rows
        labels = rng.choice(([0, 1],) * 9 + ([0], ["a", "b"], [0, -1], [[0], [1]], None, [0, 2**70], [0.5, 1]))
        content = {b"data": rows, b"labels": labels, b"fine_labels": labels}
        files.append(_write(inner / one, pickle.dumps(content, protocol=rng.choice((2, 4, 5)))))
    if name == "cifar100":
        files.append(_write(inner / "meta", pickle.dumps({b"fine_label_names": [b"a", b"b"]})))
    return {"name": name, "path": folder}, files


def _labels(rng: random.Random) -> str:
    return rng.choice(("classes", "classes", "numbers", "multi_label"))


# -- tables

CELLS = (
    *("", " ", "nan", "NaN", "NA", "?", "inf", "-inf", "1e400", "1e39", "1_000", "1,5", '"', '"a', "'", "0x1F", "true"),
    *(
        "True",
        "−1",
        "１",
        "é",
        "\u202e",
        "\0",
        "a" * 200_000,
        "9" * 5000,
        "1e-400",
        "2**3",
        "=1+1",
        "\t",
        "1;2",
        "\ufeff1",
    ),
)


def _rows(rng: random.Random) -> list[list[str]]:
    rows = [[f"{rng.uniform(-9, 9):.3g}", str(rng.randrange(9)), "ab"[number % 2]] for number in range(8)]
    rows.insert(0, ["a", "b", "y"])
    for _ in range(rng.choice((0, 0, 1, 1, 3))):
        row = rng.choice(rows)
        match rng.randrange(8):
            case 0:
                row.append(rng.choice(CELLS))
            case 1:
                del row[-1:]
            case 2:
                rows.insert(rng.randrange(len(rows)), [])
            case 3:
                rows.insert(rng.randrange(len(rows)), list(row))
            case _ if row:
                row[rng.randrange(len(row))] = rng.choice(CELLS)
    return rows


def _csv(rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    delimiter, files = rng.choice((",", ",", ";", "\t")), []
    for name in ("train", "test"):
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=delimiter, lineterminator=rng.choice(("\n", "\r\n", "\r")))
        writer.writerows(_rows(rng))
        encoding = rng.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "latin-1"))
        files.append(_write(folder / f"{name}.csv", buffer.getvalue().encode(encoding, "replace")))
    return {
        "train": files[0],
        "test": files[1],
        "label": rng.choice(("y", "y", -1, 2, 7, "é")),
        "features": rng.choice((None, None, ("a", "b"), (0, 1), ("a", "a"))),
        "header": rng.choice((True, True, True, False)),
        "delimiter": rng.choice((delimiter,) * 4 + ("whitespace", "|")),
    }, files


def _image_table(rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    delimiter, files = rng.choice((",", ",", ";", "\t", " ")), []
    rows = [[f"{number}.png", "ab"[number % 2], f"{number / 4}", "p" * (1 + number // 2)] for number in range(EXAMPLES)]
    for number in range(EXAMPLES):
        files.append(_saved(Image.new("RGB", (8, 6), (number, 0, 9)), folder / f"{number}.png"))
    if rng.random() < 0.7:
        rows.insert(0, ["f", "y", "n", "g"])
    for _ in range(rng.choice((0, 1, 2))):
        row = rng.choice(rows)
        cell = rng.choice((*CELLS, "..", "/", "0", "a;b", "../a.png", ".\\0.png", "2026-01-31", "test"))
        row[rng.randrange(len(row))] = cell
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator=rng.choice(("\n", "\r\n", "\r"))).writerows(rows)
    encoding = rng.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "latin-1"))
    files.append(_write(folder / "train.csv", buffer.getvalue().encode(encoding, "replace")))
    labels = (
        {"label": 1},
        {"label": "y"},
        {"target": 2},
        {"multi_label": 1},
        {"multi_label": (1, 2)},
        {"one_hot": (1, 2)},
    )
    others: tuple[dict[str, Any], ...] = (
        {},
        {},
        {"group": 3},
        {"time": 2},
        {"split": 3},
        {"sample_weight": 2},
        {"image": 0},
    )
    skips = {"on_bad_file": rng.choice(("error", "skip"))}
    return {"train": files[-1], **rng.choice((*labels, {})), **rng.choice(others), **skips}, files


def _parquet(rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    n = 8
    columns: dict[str, Any] = {"a": [float(i) for i in range(n)], "b": list(range(n)), "y": ["a", "b"] * (n // 2)}
    odd = (
        *([None] * n, [None, *range(n - 1)], [float("nan")] * n, [2**62] * n, [True, False] * (n // 2), [b"\xff"] * n),
        *([[1, 2]] * n, [{"c": 1}] * n, [""] * n, [1e300] * n, ["1"] * n, [-1] * n),
        *(pyarrow.array([0] * n, kind) for kind in (pyarrow.timestamp("s"), pyarrow.date32(), pyarrow.duration("s"))),
        pyarrow.array([1] * n, pyarrow.decimal128(5)),
        pyarrow.array(["a", "b"] * (n // 2)).dictionary_encode(),
    )
    if rng.random() < 0.5:
        columns[rng.choice(("a", "b", "y"))] = rng.choice(odd)
    path = folder / "a.parquet"
    packed = rng.choice(("NONE", "SNAPPY", "GZIP", "ZSTD"))
    parquet.write_table(pyarrow.table(columns), path, compression=packed, row_group_size=rng.choice((3, 100)))
    return {"train": path, "label": "y"}, [path]


def _its_sample(kind: type[Kind], rng: random.Random, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    """Write what the contract of the family takes; a maker below varies what is sound, too."""
    del rng
    fields = own_tests(kind).sample(folder)
    return fields, sorted(path for path in folder.rglob("*") if path.is_file())


MAKERS: dict[str, Callable[[random.Random, Path], tuple[dict[str, Any], list[Path]]]] = {
    "directory": _directory,
    "image_masks": _image_masks,
    "npy": _npy,
    "npz": _npz,
    "hdf5": _hdf5,
    "idx": _idx,
    "keras_dataset": _keras_dataset,
    "csv": _csv,
    "image_table": _image_table,
    "parquet": _parquet,
}
MAKERS |= {
    name: functools.partial(_its_sample, kind) for name, kind in kinds("kerasrun.sources").items() if name not in MAKERS
}


# -- files


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _saved(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def _change(rng: random.Random, file: Path) -> Path:
    """Change a file; return where it is then."""
    content = file.read_bytes()
    choice = rng.random()
    if choice < 0.05:
        return file.rename(
            file.with_suffix(rng.choice((".png", ".jpg", ".gif", ".tif", ".txt", "", ".npy", ".npz", ".h5")))
        )
    if choice < 0.1:
        file.unlink()
        match rng.randrange(8):
            case 0:
                file.mkdir()
            case 1:
                file.symlink_to("nowhere")
            case 2:
                os.mkfifo(file)
            case 3:
                file.symlink_to(rng.choice(("/dev/zero", "/dev/tty", "/proc/kcore", "/proc/self/mem")))
            case 4:
                with contextlib.chdir(file.parent), socket.socket(socket.AF_UNIX) as server:
                    server.bind(file.name)
            case 5:  # a file with a hole
                with file.open("wb") as sparse:
                    sparse.write(content[: rng.choice((0, 128, len(content)))])
                    sparse.truncate(rng.choice((2**27, 2**33, 2**40)))
            case 6:
                file.write_bytes(rng.choice((_npz_bomb, _gzip_bomb))())
            case _:
                file.touch()
        return file
    if choice < 0.14:
        content = _picture(rng)[0]
    elif choice < 0.5 and (special := _special(content)):
        content = special(rng, content)
    elif choice < 0.6:
        content = _with_extreme(rng, content)
    elif choice < 0.65 and content[:2] == b"\x1f\x8b":
        content = gzip.compress(mutated_bytes(rng, gzip.decompress(content)), mtime=0)
    else:
        content = mutated_bytes(rng, content)
    file.write_bytes(content)
    return file


@functools.cache
def _npz_bomb() -> bytes:
    """Return an archive of two arrays, of which one is of zeros that fill the memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in (("x_train", (2**10, 2**17)), ("y_train", (2**10,))):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(int(np.prod(shape))))
    return buffer.getvalue()


@functools.cache
def _gzip_bomb() -> bytes:
    """Return images or labels of MNIST's format, of zeros that fill the memory."""
    return gzip.compress(struct.pack(">4I", 0x803, 2**7, 2**10, 2**10), mtime=0) + gzip.compress(bytes(2**27), mtime=0)


def _special(content: bytes) -> Callable[[random.Random, bytes], bytes] | None:
    known = {b"\x89P": _changed_png, b"\xff\xd8": _changed_jpeg, b"\x93N": _changed_npy}
    return known.get(content[:2])


def _with_extreme(rng: random.Random, content: bytes) -> bytes:
    """Write a number where a header may have a size."""
    found, form = bytearray(content), rng.choice((">H", "<H", ">I", "<I", "<Q"))
    place = rng.randrange(min(64, len(found)) + 1) if rng.random() < 0.7 else rng.randrange(len(found) + 1)
    size = struct.calcsize(form)
    found[place : place + size] = struct.pack(form, rng.choice(EXTREME) % 256**size)
    return bytes(found)


def _changed_png(rng: random.Random, content: bytes) -> bytes:
    """Change whole chunks, so that their checksums are right."""
    chunks, place = [], 8
    while place + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        chunks.append([content[place + 4 : place + 8], content[place + 8 : place + 8 + length]])
        place += 12 + length
    at = rng.randrange(len(chunks))
    match rng.randrange(7):
        case 0 | 1:
            header, where = bytearray(chunks[0][1]), rng.choice((0, 4, 8, 9, 10, 11, 12))
            size = 4 if where < 8 else 1
            header[where : where + size] = (rng.choice(EXTREME) % 256**size).to_bytes(size, "big")
            chunks[0][1] = bytes(header)
        case 2 | 3:
            kinds_ = (
                b"tEXt",
                b"zTXt",
                b"iTXt",
                b"eXIf",
                b"iCCP",
                b"gAMA",
                b"tRNS",
                b"PLTE",
                b"acTL",
                b"fcTL",
                b"sRGB",
                b"aaaa",
                b"IDAT",
            )
            large = b"a\0\0" + zlib.compress(bytes(10**7))
            data = rng.choice((rng.randbytes(rng.choice((0, 1, 4, 26, 60))), _exif(rng), large, b"a\0" + b"b" * 10**6))
            chunks.insert(rng.randrange(len(chunks) + 1), [rng.choice(kinds_), data])
        case 4:
            del chunks[at]
        case 5:
            chunks.insert(rng.randrange(len(chunks) + 1), chunks[at])
        case _:
            chunks[at][1] = mutated_bytes(rng, chunks[at][1])
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return content[:8] + b"".join(packed)


def _changed_jpeg(rng: random.Random, content: bytes) -> bytes:
    """Change whole segments, so that their lengths are right."""
    segments, place = [], 2
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", content, place + 2)
        segments.append([content[place + 1], content[place + 4 : place + 2 + length]])
        place += 2 + length
    at = rng.randrange(len(segments)) if segments else 0
    match rng.randrange(6):
        case 0 | 1:
            data = rng.choice(
                (
                    b"Exif\0\0" + _exif(rng),
                    rng.randbytes(20),
                    b"JFIF\0" + rng.randbytes(9),
                    b"Adobe" + rng.randbytes(7),
                    b"ICC_PROFILE\0\1\2a",
                    b"MPF\0" + _exif(rng),
                    b"",
                )
            )
            segments.insert(at, [rng.choice((0xE0, 0xE1, 0xE1, 0xE2, 0xED, 0xEE, 0xFE, 0xDD, 0xC0, 0xC4, 0xDB)), data])
        case 2 | 3:
            for segment in segments:
                if segment[0] in (0xC0, 0xC2) and len(segment[1]) > 5:
                    segment[1] = (
                        segment[1][:1]
                        + struct.pack(">HH", *(rng.choice(EXTREME) % 65536 for _ in "hw"))
                        + segment[1][5:]
                    )
        case 4 if segments:
            del segments[at]
        case _ if segments:
            segments[at][1] = mutated_bytes(rng, segments[at][1])
    packed = (bytes((0xFF, kind)) + struct.pack(">H", len(data) + 2) + data for kind, data in segments)
    return content[:2] + b"".join(packed) + content[place:]


def _changed_npy(rng: random.Random, content: bytes) -> bytes:
    """Write another header of the right length."""
    (length,) = struct.unpack_from("<H", content, 8)
    header, values = content[10 : 10 + length].decode("latin-1"), content[10 + length :]
    old, new = rng.choice(
        (
            ("'descr': '", "'descr': '" + rng.choice((">", "|", "O", "U9", "f", "M", "<V"))),
            (
                "|u1",
                rng.choice(("|O", "<f8", "<c16", "<U9999999", "|S0", "|V3", "<M8[s]", "|b1", "<f2", "x", "<u1000")),
            ),
            (
                "(6,",
                rng.choice(
                    ("(-6,", "(6.0,", "(0,", "(10**9,", "(9999999999999,", "(99999999999999999999999,", "(6,6,")
                ),
            ),
            ("False", rng.choice(("True", "None", "1", "()", "Fals"))),
            ("'shape'", rng.choice(("'shap'", "b'shape'", "0", "[]", "'descr'"))),
            ("{", rng.choice(("", "{{", "[", "{" * 200, "-" * 300 + "{"))),
            ("}", rng.choice(("", "\0", "é", "} + {}", "#", "\n"))),
            (
                header,
                rng.choice(
                    (
                        "",
                        "{}",
                        "None",
                        "\0" * 9,
                        "(" * 99,
                        "{'descr': [('a', 'u1')], 'fortran_order': False, 'shape': ()}",
                    )
                ),
            ),
        )
    )
    header = header.replace(old, new, 1).rstrip() + "\n"
    return content[:8] + struct.pack("<H", len(header)) + header.encode("latin-1", "replace") + values
