"""The instructions are written by hand, as the documentation in `pickletools` has them."""

import pickle
import struct

import numpy as np
import pytest

from kerasrun.reading import pickles

RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
ARRAY = b"cnumpy\nndarray\n"
DTYPE = b"cnumpy\ndtype\n"


def number(value):
    return b"J" + struct.pack("<i", value)


def text(value):
    """A string of Python 2."""
    return b"U" + bytes([len(value)]) + value


def long_text(value):
    return b"T" + struct.pack("<I", len(value)) + value


def several(*parts):
    return b"(" + b"".join(parts) + b"t"


def dtype(code=b"u1", state=None):
    plain = several(number(3), text(b"|"), b"NNN", number(-1), number(-1), number(0))
    return DTYPE + several(text(code), number(0), number(1)) + b"R" + (plain if state is None else state) + b"b"


def array(shape, content, kind=None, is_fortran=b"\x89"):
    empty = RECONSTRUCT + several(ARRAY, several(number(0)), text(b"b")) + b"R"
    size = several(*map(number, shape))
    return empty + several(number(1), size, dtype() if kind is None else kind, is_fortran, long_text(content)) + b"b"


def pickled(content):
    return b"\x80\x02" + content + b"."


def test_a_pickle_of_python_2_is_read():
    labels = b"]q\x03(" + number(6) + b"K\x09e"
    content = b"}q\x01(" + text(b"labels") + b"q\x02" + labels + text(b"data") + array((2, 3), b"abcdef") + b"u"
    read = pickles.read(pickled(content))
    assert read[b"labels"] == [6, 9]
    np.testing.assert_array_equal(read[b"data"].value, np.frombuffer(b"abcdef", np.uint8).reshape(2, 3))


def test_the_columns_of_an_array_may_come_first():
    read = pickles.read(pickled(array((2, 3), b"abcdef", is_fortran=b"\x88")))
    np.testing.assert_array_equal(read.value, np.frombuffer(b"acebdf", np.uint8).reshape(2, 3))


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("kind", ["?", "i8", "<f4", ">f8", "u2"])
def test_what_numpy_pickles_is_what_is_read(protocol, kind):
    values = np.arange(6).reshape(2, 3).astype(kind)
    content = {"a": values, "b": values.T, "empty": values[:0], "one": values[1, 2], "again": values}
    read = pickles.read(pickle.dumps(content, protocol))
    assert read["a"] is read["again"]
    assert read["one"] == values[1, 2]
    assert type(read["one"]) is type(values[1, 2])
    for key in ("a", "b", "empty"):
        assert read[key].value.dtype == values.dtype
        np.testing.assert_array_equal(read[key].value, content[key])


FIELDS = several(number(3), text(b"|"), b"N", several(text(b"a")), b"}", number(8), number(1), number(63))
HASHED = b"}" + b")" + b"2\x86" * 60 + b"Ns"
"""A dictionary by a tuple of tuples, whose hash would take 2 ** 60 steps."""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (array((1,), bytes(8), dtype(b"O")), "calls numpy.dtype"),
        (array((1,), bytes(8), dtype(b"V8", FIELDS)), "calls numpy.dtype"),
        (array((1,), bytes(8), dtype(b"f8", FIELDS)), "has a state that no"),
        (dtype(b"u1", several(number(3), text(b"f8,u"), b"NNN", number(-1), number(-1), number(0))), "has a state"),
        (array((2, 3), bytes(5)), "5 bytes, which are not those of its shape"),
        (array((-2, -3), bytes(6)), "has a shape that is none"),
        (array((2**30, 2**30, 2**30), b""), "0 bytes, which are not"),
        (ARRAY + several(several(number(400_000), number(3072)), dtype()) + b"R", "calls numpy.ndarray"),
        (b"cnumpy._core.multiarray\nscalar\n" + several(dtype(b"u8"), b"C\x04abcd") + b"R", "4 bytes, which are not"),
        (b"cnumpy\nndarray\n)\x81", "makes a numpy.ndarray"),
        (b"cos\nsystem\n", "holds os.system, which is not taken"),
        (HASHED, "is no pickle of arrays"),
        (b"}" + several() + b"Ns", "a key that is no text"),
        (b"N" * 2**20, "more than 1,048,576 instructions"),
        (b"", "is no pickle of arrays"),
        (b"Ne", "is no pickle of arrays"),
        (b"h\x05", "is no pickle of arrays"),
        (b"\x96" + struct.pack("<Q", 2**62), "2 bytes remain|only 0 remain|expected"),
    ],
)
def test_what_would_write_elsewhere_or_without_an_end_is_refused(content, words):
    with pytest.raises(ValueError, match=words):
        pickles.read(pickled(content))


@pytest.mark.parametrize("content", [b"K\x01(\x85.", b"](K\x01a.", b"}K\x01(K\x02s."])
def test_nothing_is_taken_from_below_a_mark(content):
    """As `pickle` has it: what an instruction takes lies above the last mark."""
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(b"\x80\x02" + content)
    with pytest.raises(ValueError, match="it is no pickle of arrays"):
        pickles.read(b"\x80\x02" + content)


@pytest.mark.parametrize("place", [2**27, 2**32 - 1])
def test_a_note_at_a_far_place_takes_no_memory(place):
    assert pickles.read(pickled(number(7) + b"r" + struct.pack("<I", place))) == 7


def test_an_object_is_described_and_not_made():
    content = pickled(b"cprobe\nProbe\n)\x81}" + b"X\x01\x00\x00\x00a" + number(1) + b"sb")
    made = pickles.read(content, ["probe.Probe"])
    assert (made.name, made.value) == ("probe.Probe", {"a": 1})
    with pytest.raises(ValueError, match=r"holds probe\.Probe"):
        pickles.read(content)
