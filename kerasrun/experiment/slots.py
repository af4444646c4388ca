"""The values that each place of an experiment may hold: by the schema, and below a component by Keras's signatures."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from kerasrun.components import Keras, Kind, family_of, is_written_beside, kinds
from kerasrun.experiment.outputs import is_by_output, written_outputs
from kerasrun.experiment.schema import BY_INPUT, ONE_OR_SEVERAL, Experiment
from kerasrun.keras_catalogue import SOURCES, family_of_argument, identifiers
from kerasrun.text.document import Document
from kerasrun.text.yaml_text import Node, Path


@dataclass(frozen=True)
class Slot:
    """The values that a place may hold: one of the fields that are set."""

    keras: Keras | None = None
    """A component of Keras."""
    kind: type[Kind] | None = None
    """A kind of ours with its keys, or one of the family of which this is the base."""
    section: type[BaseModel] | None = None
    """Keys with values."""
    items: Slot | None = None
    """A list of these."""
    needs_no_brackets: bool = False
    """True if a single item may take the place of the list."""
    by_output: Slot | None = None
    """One of these for each output, by its name."""
    by_input: Slot | None = None
    """One of these for each input, by its name."""
    arguments_of: str | None = None
    """The arguments of an object of this family of Keras."""

    @property
    def is_component(self) -> bool:
        """True if a name may be here without its arguments."""
        single = self.items if self.needs_no_brackets and self.items else self
        return bool(single.kind or (single.keras and single.keras.family != "activations"))

    def of_each_name(self, node: Node, document: Document) -> Slot | None:
        """Return the slot of one input or output, if `node`, which is in this place, names those."""
        if self.by_input and isinstance(node.value, dict) and not node.value.keys() & set(identifiers("layers")):
            return self.by_input
        return self.by_output if self.by_output and is_by_output(node, written_outputs(document)) else None

    def inside(self, node: Node, document: Document) -> Callable[[str], Slot]:
        """Return what gives the slot under each key of `node`, which is in this place."""
        if of_name := self.of_each_name(node, document):
            return lambda key: of_name
        if self.section:
            return functools.partial(_field, self.section)
        if self.needs_no_brackets and self.items:
            return self.items.inside(node, document)
        if self.kind:
            known, beside = _kinds(self.kind), kind_beside(self.kind, node)
            return functools.partial(_field, beside) if beside else lambda key: Slot(section=known.get(key))
        if self.arguments_of:
            return functools.partial(_argument, self.arguments_of)
        arguments = Slot(arguments_of=self.keras.family) if self.keras else Slot()
        return lambda key: arguments


EXPERIMENT = Slot(section=Experiment)


def components(document: Document) -> Iterator[tuple[Path, Node, Keras]]:
    """Yield every component of Keras that is not an argument of another, with its path and its mark."""
    yield from _components(EXPERIMENT, document.root, (), document)


def layer_paths(document: Document, section: str) -> list[Path]:
    """Return the path of every layer in a section, as they were written."""
    return [path for path, _, keras in components(document) if (path[0], keras.family) == (section, "layers")]


def kind_beside(base: type[Kind], node: Node) -> type[Kind] | None:
    """Return the kind that `node` names, if its keys are beside the name and not below it."""
    known = _kinds(base)
    named = (known[name] for name in node.value if name in known) if isinstance(node.value, dict) else ()
    return next((kind for kind in named if is_written_beside(kind)), None)


def _components(slot: Slot, node: Node, path: Path, document: Document) -> Iterator[tuple[Path, Node, Keras]]:
    if slot.items and isinstance(node.value, list):
        for index, item in enumerate(node.value):
            yield from _components(slot.items, item, (*path, index), document)
    elif slot.keras and not slot.of_each_name(node, document):
        yield path, node, slot.keras
    elif slot.items and slot.needs_no_brackets:
        yield from _components(slot.items, node, path, document)
    elif isinstance(node.value, dict) and (slot.section or slot.kind or slot.of_each_name(node, document)):
        slot_of = slot.inside(node, document)
        for key, value in node.value.items():
            if value.value is not None or slot.by_output:
                yield from _components(slot_of(key), value, (*path, key), document)


def _kinds(base: type[Kind]) -> Mapping[str, type[Kind]]:
    return {base.kind: base} if "kind" in vars(base) else _kinds_of(family_of(base), tuple(identifiers(SOURCES)))


@functools.cache
def _kinds_of(package: str, functions: tuple[str, ...]) -> Mapping[str, type[Kind]]:
    """Return the kinds of a family while the plugins in use have these functions."""
    del functions
    return kinds(package)


def _field(model: type[BaseModel], name: str) -> Slot:
    field = model.model_fields.get(name)
    return _slot(field.annotation, tuple(field.metadata)) if field else Slot()


@functools.cache
def _argument(family: str, name: str) -> Slot:
    inner = family_of_argument(family, name)
    if inner is None:
        return Slot()
    one = Slot(keras=Keras(inner))
    return replace(one, items=one) if inner == "layers" else one


def _slot(annotation: Any, marks: tuple[Any, ...] = ()) -> Slot:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _slot(inner[0], inner[1:])
    if origin in (Union, UnionType):
        return functools.reduce(_either, map(_slot, inner))
    if keras := next((mark for mark in marks if isinstance(mark, Keras)), None):
        return Slot(keras=keras)
    if origin is tuple and inner:
        return Slot(items=_slot(inner[0]), needs_no_brackets=ONE_OR_SEVERAL in marks)
    if origin is Mapping and BY_INPUT in marks:
        return Slot(by_input=_slot(inner[1]))
    if origin is Mapping:
        return Slot(by_output=_slot(inner[1]))
    if isinstance(annotation, type) and issubclass(annotation, Kind):
        return Slot(kind=annotation)
    return Slot(section=annotation) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else Slot()


def _either(one: Slot, other: Slot) -> Slot:
    return replace(one, **{name: value for name, value in vars(other).items() if value})
