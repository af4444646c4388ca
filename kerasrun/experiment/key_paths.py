"""The key paths that `--set` takes, as a shell offers them: by the schema, and by the file where that says more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

from kerasrun.components import family_of, is_written_beside, kinds
from kerasrun.errors import KerasrunError
from kerasrun.experiment.files import on_its_bases, parse_text, read_text
from kerasrun.experiment.keras_checks import usable
from kerasrun.experiment.resolved import flow_yaml
from kerasrun.experiment.slots import EXPERIMENT, Slot, kind_beside
from kerasrun.keras_catalogue import canonical, signature
from kerasrun.text.document import Document, child, written_component
from kerasrun.text.problems import Problem, Text
from kerasrun.text.yaml_text import Node

_NOTHING = Node({}, Text("", ()).place(1, 1))


def key_paths(begun: str, file: FilePath | None = None) -> list[str]:
    """Return how a key path may go on: with `=` behind a key that has a value, with `.` behind one that has keys.

    A value beside the only path left is the one that it has: what several have in common is put there by a shell
    without a blank behind it.

    Args:
        file: the experiment, whose components are then the only ones.
    """
    front, dot, last = begun.rpartition(".")
    root = _root(file)
    place = _Place(EXPERIMENT, root, Document(root or _NOTHING))
    for part in front.split(".") if dot else ():
        place = place.below(part)
    found = [key for key in place.names() if key.startswith(last)]
    paths = [one for key in found for one in _offered(f"{front}{dot}{key}", place.below(key))]
    if len(paths) != 1:
        return paths
    if paths[0].endswith("."):
        return key_paths(paths[0], file)
    value = place.below(found[0]).value_of(place, found[0])
    return paths if value is None else [paths[0], paths[0] + flow_yaml(value)]


def _offered(path: str, place: _Place) -> list[str]:
    return [*([f"{path}="] if place.has_value else []), *([f"{path}."] if place.names() else [])]


def _root(file: FilePath | None) -> Node | None:
    """Return the experiment as far as it can be read; what is wrong with it is not for a shell to say."""
    if file is None:
        return None
    problems: list[Problem] = []
    try:
        root = parse_text(read_text(file), str(file), problems)
        return None if root is None else on_its_bases(root, file, problems)[0]
    except KerasrunError:
        return None


@dataclass(frozen=True)
class _Place:
    """A place of an experiment: what it may hold, and what is written there."""

    slot: Slot
    node: Node | None
    document: Document
    section: str = ""
    component: str = ""
    """The name whose arguments are here."""

    @property
    def has_value(self) -> bool:
        return self.slot.is_component or self.slot.items is not None or not self.names()

    def names(self) -> Sequence[str]:
        """Return what may be below."""
        slot = self.slot
        if slot.section:
            return list(slot.section.model_fields)
        if slot.kind:
            return self._of_kinds()
        if slot.arguments_of:
            return self._arguments()
        one = slot.items or slot
        if self.node is not None and isinstance(self.node.value, list) and not one.is_component:
            return [str(index) for index in range(len(self.node.value))] if one.section else []
        if not one.is_component or one.keras is None:
            return []
        family = one.keras.family
        return self._written() or list(dict.fromkeys(canonical(family, name) for name in usable(family, self.section)))

    def _of_kinds(self) -> Sequence[str]:
        base = self.slot.kind
        assert base is not None
        if "kind" in vars(base):  # there is one
            return [base.kind]
        if self.node is not None and (beside := kind_beside(base, self.node)):
            return list(beside.model_fields)
        known = kinds(family_of(base))
        return self._written() or [name for name, kind in known.items() if not is_written_beside(kind)]

    def _arguments(self) -> Sequence[str]:
        assert self.slot.arguments_of
        try:
            known = signature(self.slot.arguments_of, canonical(self.slot.arguments_of, self.component))
        except KeyError:  # a plugin's
            return []
        return [one.name for one in known.parameters]

    def _written(self) -> list[str]:
        """Return the names of the components that are written here."""
        value = self.node.value if self.node is not None else None
        nodes = value if isinstance(value, list) else [self.node]
        return [written.name for one in nodes if (written := written_component(one, ()))]

    def below(self, key: str) -> _Place:
        """Return the place under a key."""
        one = self.slot.items or self.slot
        if one.keras and self.slot.of_each_name(self.node or _NOTHING, self.document) is None:
            slot = Slot(arguments_of=one.keras.family)
        elif self.slot.items:
            slot = self.slot.items
        else:
            slot = self.slot.inside(self.node or _NOTHING, self.document)(key)
        return _Place(slot, self._node_below(key), self.document, self.section or key, key)

    def _node_below(self, key: str) -> Node | None:
        if self.node is None:
            return None
        if not isinstance(self.node.value, list):
            return child(self.node, key)
        if key.isdecimal():
            return child(self.node, int(key))
        named = (one for one in self.node.value if (written := written_component(one, ())) and written.name == key)
        return next((child(one, key) for one in named), None)

    def value_of(self, above: _Place, key: str) -> bool | int | float | str | None:
        """Return what is written here, else the default where that is plain."""
        if self.node is not None and isinstance(self.node.value, bool | int | float | str):
            return self.node.value
        default: object = None
        if above.slot.section:
            default = above.slot.section.model_fields[key].default
        elif above.slot.arguments_of and above.names():
            family = above.slot.arguments_of
            default = signature(family, canonical(family, above.component)).default(key)
        return default if isinstance(default, bool | int | float | str) else None
