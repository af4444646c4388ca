"""What Keras's docstrings say of its objects and of their arguments, in a sentence or two; Keras is not imported."""

import ast
import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kerasrun.keras_catalogue import place_of
from kerasrun.keras_source import Place, ancestors, source_of

_ARGUMENTS = re.compile(r"^(?:Args|Arguments):\n((?:(?: .*)?\n)+)", re.MULTILINE)
_ARGUMENT = re.compile(r"^ {4}(\w+)(?: \(.*?\))?: *(.*(?:\n {5,}.*)*)", re.MULTILINE)
_FILLED_IN = "{{base_optimizer_keyword_args}}"
"""What stands in the docstrings of optimizers for the text of a variable."""
_BETWEEN_SENTENCES = re.compile(r"(?<=[.:])(?<!e\.g\.)(?<!i\.e\.)\s+(?=[A-Z`\"])")
_SHORTEST = 40
"""Below so many characters a sentence, such as `Boolean.`, says too little to stand alone."""


@dataclass(frozen=True)
class Documentation:
    """The beginning of a docstring."""

    about: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


def documentation(family: str, name: str) -> Documentation:
    """Return what is said of an object of Keras, by the catalogue's name, and of its arguments."""
    place = place_of(family, name)
    return Documentation() if place is None else _documentation(place)


@functools.cache
def _documentation(place: Place) -> Documentation:
    text = _text(place)
    found = _ARGUMENTS.search(f"{text}\n")
    arguments = {name: _beginning(said) for name, said in _ARGUMENT.findall(found[1])} if found else {}
    bases = ancestors(place)[1:] if isinstance(place.node, ast.ClassDef) else []
    inherited = _documentation(bases[0]).arguments if bases else {}
    return Documentation(_beginning(text.partition("\n\n")[0]), {**inherited, **arguments})


def _text(place: Place) -> str:
    text = ast.get_docstring(place.node, clean=False) or ""
    if _FILLED_IN in text:
        text = text.replace(_FILLED_IN, _of_base_optimizer())
    return inspect.cleandoc(text)


@functools.cache
def _of_base_optimizer() -> str:
    tree = source_of("keras.src.optimizers.base_optimizer")
    for node in tree.body if tree else ():
        match node:
            case ast.Assign(targets=[ast.Name("base_optimizer_keyword_args")], value=ast.Constant(value=str(text))):
                return text
    return ""


def _beginning(text: str) -> str:
    """Return the first sentence, and those after it while they are few words."""
    first, *others = _BETWEEN_SENTENCES.split(" ".join(text.split()))
    while others and len(first) < _SHORTEST:
        first += f" {others.pop(0)}"
    return first
