"""HDF5 files give what is in them, and nothing of other files."""

import ast
import io
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

import kerasrun
from kerasrun.errors import DataError
from kerasrun.reading import hdf5
from kerasrun.sources.hdf5 import Hdf5

X = np.arange(24, dtype=np.uint8).reshape(6, 4)
Y = np.arange(6) % 2


def external_link(file, name, secret):
    file[name] = h5py.ExternalLink(secret, "/x")


def link_through_a_group(file, name, secret):
    file[f"{name}_group/inner"] = h5py.ExternalLink(secret, "/")
    file[name] = h5py.SoftLink(f"/{name}_group/inner/x")


def external_storage(file, name, secret):
    file.create_dataset(name, X.shape, "u1", external=[(secret, 0, h5py.h5f.UNLIMITED)])


def virtual(file, name, secret):
    layout = h5py.VirtualLayout(X.shape, np.uint8)
    layout[:] = h5py.VirtualSource(secret, "x", X.shape)
    file.create_virtual_dataset(name, layout)


ELSEWHERE = [external_link, link_through_a_group, external_storage, virtual]


@pytest.fixture
def secret(tmp_path):
    """A file in another folder, which could be read."""
    (tmp_path / "home").mkdir()
    with h5py.File(tmp_path / "home/secret.h5", "w") as file:
        file["x"] = X
    return str(tmp_path / "home/secret.h5")


def written(path, *, x=None, **arrays):
    """Write arrays; `x` writes x_train."""
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file.update({"x_train": X, "y_train": Y} if x is None else {"y_train": Y})
        if x:
            x(file)
        file.update(arrays)
    return path


@pytest.mark.parametrize("kind", ELSEWHERE)
@pytest.mark.parametrize("name", ["x_train", "layers/dense/vars/0"])
def test_values_in_other_files_are_refused_by_name(tmp_path, secret, kind, name):
    path = written(tmp_path / "a.h5", x=lambda file: kind(file, name, secret))
    with pytest.raises(ValueError, match=name.split("/")[0]):
        hdf5.check(path)
    with pytest.raises(ValueError, match=name.split("/")[0]):
        hdf5.check(io.BytesIO(path.read_bytes()))


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_a_source_reads_no_other_file(tmp_path, secret, kind):
    path = written(tmp_path / "here/a.h5", x=lambda file: kind(file, "x_train", secret))
    with pytest.raises(DataError, match=r"a\.h5: .*x_train"):
        Hdf5(path=path).open()


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_a_source_reads_what_is_sound_in_a_file_with_other_things(tmp_path, secret, kind):
    path = written(tmp_path / "here/a.h5")
    with h5py.File(path, "a") as file:
        kind(file, "unused", secret)
    np.testing.assert_array_equal(Hdf5(path=path).open().splits["train"].inputs.array, X)


@pytest.mark.parametrize("source", ["absolute", "..", "link", "percent"])
def test_sources_of_virtual_data_sets_lie_in_the_same_folder(tmp_path, secret, source):
    name = {"absolute": secret, "..": "../home/secret.h5", "link": "part.h5", "percent": "100%%.h5"}[source]
    path = written(tmp_path / "here/a.h5", x=lambda file: virtual(file, "x_train", name))
    if source == "link":
        (path.parent / name).symlink_to(secret)
    if source == "percent":
        written(path.parent / name, x=lambda file: file.update({"x": X}))
        (path.parent / "100%.h5").symlink_to(secret)  # which HDF5 reads
    with pytest.raises(DataError, match=r"x_train: its values are in another file, .*, which is not read from another"):
        Hdf5(path=path).open()


@pytest.mark.parametrize("kind", [external_link, external_storage, virtual])
def test_sources_of_virtual_data_sets_have_the_values_themselves(tmp_path, secret, kind):
    path = written(tmp_path / "here/a.h5", x=lambda file: virtual(file, "x_train", "part.h5"))
    written(path.parent / "part.h5", x=lambda file: kind(file, "x", secret))
    with pytest.raises(DataError, match=r"x_train: its values are in x of another file, part\.h5|x: its values are in"):
        Hdf5(path=path).open()


def test_virtual_data_sets_of_pieces_in_the_file_and_beside_it_are_read(tmp_path):
    def pieces(file):
        file["own"] = X[:3]
        layout = h5py.VirtualLayout(X.shape, np.uint8)
        layout[:3] = h5py.VirtualSource(".", "own", (3, 4))
        layout[3:] = h5py.VirtualSource(str(tmp_path / "part.h5"), "/group/x", (3, 4))
        file.create_virtual_dataset("x_train", layout)

    path = written(tmp_path / "a.h5", x=pieces)
    written(tmp_path / "part.h5", x=lambda file: file.update({"group/x": X[3:]}))
    np.testing.assert_array_equal(Hdf5(path=path).open().splits["train"].inputs.array, X)


def test_virtual_data_sets_of_each_other_are_refused(tmp_path):
    path = written(tmp_path / "a.h5", x=lambda file: virtual(file, "x_train", "b.h5"))
    written(tmp_path / "b.h5", x=lambda file: virtual(file, "x", "c.h5"))
    written(tmp_path / "c.h5", x=lambda file: virtual(file, "x", "b.h5"))
    with pytest.raises(DataError, match="taken from it again"):
        Hdf5(path=path).open()


def test_groups_may_hold_themselves(tmp_path):
    def loop(file):
        file["x_train"] = X
        file["group/again"] = file["/"]

    np.testing.assert_array_equal(Hdf5(path=written(tmp_path / "a.h5", x=loop)).open().splits["train"].inputs.array, X)


def test_groups_that_are_nested_without_end_are_refused(tmp_path):
    def nest(file):
        file["x_train"] = X
        group = file
        for _ in range(5000):
            group = group.create_group("g")

    with pytest.raises(DataError, match=r"a\.h5: .*: its groups are nested more than 100 deep"):
        Hdf5(path=written(tmp_path / "a.h5", x=nest)).open()


def test_more_objects_than_a_network_has_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MOST_OBJECTS", 5)
    path = written(tmp_path / "a.h5", x=lambda file: [file.create_group(str(number)) for number in range(9)])
    with pytest.raises(DataError, match=r"a\.h5: .*: it has more than 5 objects"):
        Hdf5(path=path).open()


@pytest.mark.parametrize("options", [{"chunks": (1, 1000, 1000)}, {"chunks": (1, 10, 10), "compression": "gzip"}, {}])
def test_values_that_were_never_written_are_not_read_as_zeros(tmp_path, options):
    def promise(file):
        file.create_dataset("x_train", (6, 10**4, 10**4), "u1", **options)

    with pytest.raises(DataError, match=r"a\.h5: x_train: promises 600,000,000 bytes, of which 0 are stored"):
        Hdf5(path=written(tmp_path / "a.h5", x=promise)).open()


def test_nothing_else_opens_hdf5_files_for_reading():
    package = Path(kerasrun.__file__).parent
    found = []
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("h5py.File"):
                found.append((str(file.relative_to(package)), ast.unparse(node.args[0])))
    assert sorted(found) == [("engine/state.py", "buffer"), ("model_file.py", "buffer"), ("reading/hdf5.py", "source")]


def test_a_name_that_is_not_utf_8_is_shown(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file[b"\xff\xfe"] = np.zeros(3)
    with pytest.raises(DataError, match=r"no array 'x_train'; it has \\xff\\xfe"):
        Hdf5(path=tmp_path / "x.h5").open()


@pytest.mark.long
def test_a_chunk_that_is_far_larger_than_its_array_is_not_unpacked(tmp_path):
    """Deflated twice, a gigabyte of zeros is a few kilobytes; HDF5 unpacks a chunk whole."""

    def bomb(file):
        array = file.create_dataset(
            "x_train", (6, 4), "u1", maxshape=(None, None), chunks=(2**15, 2**15), compression=9
        )
        packer = zlib.compressobj(9)
        packed = b"".join(packer.compress(bytes(2**20)) for _ in range(2**10)) + packer.flush()
        array.id.write_direct_chunk((0, 0), packed)

    with pytest.raises(DataError, match=r"x_train: promises 1,073,741,824 bytes, of which [\d,]+ are stored"):
        Hdf5(path=written(tmp_path / "a.h5", x=bomb)).open()


@pytest.mark.parametrize("size", [0, 3])
def test_a_chunk_without_its_checksum_is_damaged(tmp_path, size):
    """HDF5 1.14 takes the four bytes of the checksum off whatever there is, and ends in a segmentation fault."""

    def cut(file):
        array = file.create_dataset("x_train", (6, 4), "u1", chunks=(3, 4), fletcher32=True)
        array[...] = 1

    path = written(tmp_path / "a.h5", x=cut)
    with h5py.File(path) as file:
        whole = file["x_train"].id.get_chunk_info(1)
    # A key of the B-tree: the size of the chunk, its filter mask, and where it begins in the array and in an element.
    key = struct.pack("<IIQQQ", whole.size, 0, 3, 0, 0)
    content = path.read_bytes()
    assert content.count(key) == 1
    path.write_bytes(content.replace(key, struct.pack("<I", size) + key[4:]))
    with pytest.raises(DataError, match="x_train: a chunk of it is damaged"):
        Hdf5(path=path).open()


def test_values_behind_other_filters_are_not_read(tmp_path):
    def scaled(file):
        file.create_dataset("x_train", data=np.ones((6, 4), np.int32), chunks=(3, 4), scaleoffset=4)

    with pytest.raises(DataError, match="x_train: its values went through the filter 6 of HDF5; expected gzip"):
        Hdf5(path=written(tmp_path / "a.h5", x=scaled)).open()
