"""Pickles of numbers, texts and plain arrays of NumPy, read without `pickle`: nothing that they name is called.

NumPy trusts the state of an array or a dtype in a pickle, and `pickle` the place of a note: both would write where a
stranger says. Here each instruction is one of those below, and arrays are made of bytes whose number was compared.
"""

import math
import pickletools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

_MOST_INSTRUCTIONS = 2**20
"""The largest file of CIFAR has 200,000."""
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TEXTS_OF_PYTHON_2 = ("BINSTRING", "SHORT_BINSTRING")
_VALUES = (
    *("BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "BYTEARRAY8"),
)
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_DTYPE, _ARRAY = "numpy.dtype", "numpy.ndarray"
_RECONSTRUCT = "numpy._core.multiarray._reconstruct"
_SCALAR = "numpy._core.multiarray.scalar"
_FROM_BUFFER = "numpy._core.numeric._frombuffer"
_OF_NUMPY = (_DTYPE, _ARRAY, _RECONSTRUCT, _SCALAR, _FROM_BUFFER)
_ORDERS = ("|", "<", ">")
_PLAIN = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


@dataclass(eq=False)
class Object:
    """An object that a pickle describes."""

    name: str
    """That of its class, with the module."""
    value: Any = None
    """Its state; of an array the array itself, of a dtype the dtype."""


@dataclass(eq=False)
class _Name:
    text: str


def read(content: bytes, classes: Collection[str] = ()) -> Any:
    """Return what is in a pickle; objects are `Object`.

    Args:
        classes: those of which there may be objects, beside arrays.

    Raises:
        ValueError: if it is damaged, or holds anything else.
    """
    machine = _Machine(frozenset((*_OF_NUMPY, *classes)))
    instructions = islice(pickletools.genops(content), _MOST_INSTRUCTIONS)
    try:
        for instruction, argument, _ in instructions:
            if instruction.name == "STOP":
                return machine.stack.pop()
            machine.follow(instruction.name, argument)
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no pickle of arrays: {error}") from error
    raise ValueError(f"it has more than {_MOST_INSTRUCTIONS:,} instructions")


class _Machine:
    """What the instructions of a pickle work on."""

    def __init__(self, names: Collection[str]) -> None:
        self.stack: list[Any] = []
        self._names = names
        self._below: list[list[Any]] = []
        """What lies below each mark."""
        self._noted: dict[int, Any] = {}

    def follow(self, instruction: str, argument: Any) -> None:
        stack = self.stack
        match instruction:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self._below.append(stack)
                self.stack = []
            case "BINPUT" | "LONG_BINPUT":
                self._noted[argument] = stack[-1]
            case "MEMOIZE":
                self._noted[len(self._noted)] = stack[-1]
            case "BUILD":
                state = stack.pop()
                _build(stack[-1], state)
            case "APPEND":
                value = stack.pop()
                _of(list, stack[-1]).append(value)
            case "APPENDS":
                values = self._since_mark()
                _of(list, self.stack[-1]).extend(values)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _of(dict, stack[-1]).update(_items([key, value]))
            case "SETITEMS":
                values = self._since_mark()
                _of(dict, self.stack[-1]).update(_items(values))
            case _:
                value = self._value(instruction, argument)
                self.stack.append(value)

    def _value(self, instruction: str, argument: Any) -> Any:
        stack = self.stack
        match instruction:
            case "EMPTY_LIST":
                return []
            case "EMPTY_DICT":
                return {}
            case "TUPLE":
                return tuple(self._since_mark())
            case "BINGET" | "LONG_BINGET":
                return self._noted[argument]
            case "GLOBAL":
                return self._name(*argument.split(" "))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                return self._name(module, name)
            case "NEWOBJ" | "REDUCE":
                arguments, name = stack.pop(), stack.pop()
                return (_new if instruction == "NEWOBJ" else _called)(name.text, arguments)
        if instruction in _VALUES:
            return argument
        if instruction in _TEXTS_OF_PYTHON_2:
            return argument.encode("latin-1")
        if instruction in _TUPLES:
            return tuple(stack.pop() for _ in range(_TUPLES[instruction]))[::-1]
        return _CONSTANTS[instruction]

    def _since_mark(self) -> list[Any]:
        values, self.stack = self.stack, self._below.pop()
        return values

    def _name(self, module: str, name: str) -> _Name:
        text = f"{module}.{name}"
        known = text.replace("numpy.core.", "numpy._core.")  # NumPy 1
        if known not in self._names:
            raise ValueError(f"it holds {text}, which is not taken from a pickle")
        return _Name(known)


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise ValueError(f"it is no pickle of arrays: expected a {kind.__name__}")
    return value


def _items(values: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    for key, value in zip(values[::2], values[1::2], strict=True):
        if not isinstance(key, str | bytes):  # the hash of others may take without an end
            raise ValueError("it has a key that is no text")
        yield key, value


def _new(name: str, arguments: Any) -> Object:
    if name in _OF_NUMPY or arguments != ():
        raise ValueError(f"it makes a {name} as no pickle of arrays does")
    return Object(name)


def _called(name: str, arguments: Any) -> Any:
    match arguments:
        case (str() | bytes() as code, 0, 1) if name == _DTYPE and _text(code) in _PLAIN:
            return Object(_DTYPE, np.dtype(_text(code)))
        case (_Name(text=of), (0,), b"b") if name == _RECONSTRUCT and of == _ARRAY:
            return Object(_ARRAY)
        case (Object(value=np.dtype() as dtype), bytes(data)) if name == _SCALAR:
            return _array(data, dtype, (), "C")[()]
        case (bytes() | bytearray() as data, Object(value=np.dtype() as dtype), tuple(shape), "C" | "F" as order) if (
            name == _FROM_BUFFER
        ):
            return Object(_ARRAY, _array(data, dtype, shape, order))
    raise ValueError(f"it calls {name} as no pickle of plain arrays does")


def _build(made: Any, state: Any) -> None:
    match made, state:
        case Object(value=np.dtype() as dtype), (3, str() | bytes() as order, None, None, None, -1, -1, 0) if (
            _text(order) in _ORDERS
        ):
            made.value = np.dtype(_text(order) + dtype.str[1:])
        case Object(name=name, value=None), (
            1,
            tuple(shape),
            Object(value=np.dtype() as dtype),
            bool(is_fortran),
            bytes(data),
        ) if name == _ARRAY:
            made.value = _array(data, dtype, shape, "F" if is_fortran else "C")
        case Object(name=name, value=None), dict() if name not in _OF_NUMPY:
            made.value = state
        case _:
            raise ValueError("it has a state that no pickle of plain arrays has")


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _array(data: bytes | bytearray, dtype: "np.dtype[Any]", shape: tuple[Any, ...], order: Any) -> Any:
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError("an array in it has a shape that is none")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array in it has {len(data):,} bytes, which are not those of its shape")
    return np.ndarray(shape, dtype, data, order=order)
