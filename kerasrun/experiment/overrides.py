"""`--set key.path=value`: what the command line changes in an experiment before it is checked."""

import os
from collections.abc import Sequence
from pathlib import Path as FilePath

from kerasrun.components import PlacedText
from kerasrun.experiment import where
from kerasrun.experiment.slots import EXPERIMENT, Slot, kind_beside
from kerasrun.experiment.variables import fill
from kerasrun.text import yaml_text
from kerasrun.text.document import Document, accept_class_name_form
from kerasrun.text.problems import Place, Problem, Text, closest, dotted, shown
from kerasrun.text.yaml_text import Node, Path

_DEEPEST = 100
"""How many names a key path may have; no experiment is nested as deep."""
_DIGITS = 10


def apply(root: Node, overrides: Sequence[str], problems: list[Problem]) -> None:
    """Set each `key.path=value` in `root`; the value is YAML, its text is marked as the command line's."""
    for order, override in enumerate(overrides, 1):
        _Override(override, order, Document(root), problems).apply()


class _Override:
    def __init__(self, written: str, order: int, document: Document, problems: list[Problem]) -> None:
        self.document, self.problems = document, problems
        self.key_path, self.equals, self.value = written.partition("=")
        before = len(self.key_path) + len(self.equals)
        self.text = Text(f"--set {written}", yaml_text.split_lines(written), order, before)

    def apply(self) -> None:
        parts = self.key_path.split(".")
        if not self.equals:
            return self.problem(len(self.key_path), (), "no '='", "expected key.path=value, such as fit.epochs=3")
        if len(parts) > _DEEPEST:
            return self.problem(0, (), f"a key path of {len(parts)} names", f"expected at most {_DEEPEST}")
        if not all(part.strip() == part != "" for part in parts):
            return self.problem(0, (), f"the key path '{self.key_path}'", "expected names joined by '.'")
        value = self.read_value()
        holder: Node | None = self.document.root
        path: Path = ()
        slot = EXPERIMENT
        starts = [sum(len(part) + 1 for part in parts[:index]) for index in range(len(parts))]
        for index, (part, start) in enumerate(zip(parts, starts, strict=True)):
            if holder is None or value is None:
                return None
            last = index == len(parts) - 1
            holder, path, slot = self.step(holder, path, slot, part, start, value if last else None)
        return None

    def read_value(self) -> Node | None:
        path = tuple(self.key_path.split("."))
        node = yaml_text.parse(self.value, self.text, self.problems, path)
        if node is None:
            return None
        for _, below in yaml_text.walk(node):
            if isinstance(below.value, str):
                below.value = PlacedText(below.value, FilePath.cwd())
        self.problems += [problem for _, problem in fill(node, os.environ, path)]
        accept_class_name_form(node)
        return node

    def step(
        self, holder: Node, path: Path, slot: Slot, part: str, start: int, value: Node | None
    ) -> tuple[Node | None, Path, Slot]:
        """Go to `part` in `holder`, or put `value` there; a name without arguments is given some."""
        here = Place(self.text, 1, start + 1)
        if isinstance(holder.value, list):
            return self.step_list(holder, holder.value, path, slot, part, start, value)
        if holder.value is None:
            holder.value = {}
        if isinstance(holder.value, str) and slot.is_component:
            name = str(holder.value)
            holder.value = {name: Node({}, holder.place, holder.place)}
        if not isinstance(holder.value, dict):
            self.problem(start, path, f"'{part}' under a value", f"expected {dotted(path) or 'it'} to hold keys")
            return None, path, slot
        if part not in holder.value and holder.value and self.names_one(holder, slot, part):
            self.other_component(next(iter(holder.value)), path, part, start)
            return None, path, slot
        if value is not None:
            value.key = here
            holder.value[part] = value
        below = holder.value.setdefault(part, Node(None, here, here))
        return below, (*path, part), slot.inside(holder, self.document)(part)

    def names_one(self, holder: Node, slot: Slot, part: str) -> bool:
        """Return whether a mapping is a component, so that `part` would be a second one beside it."""
        beside = kind_beside(slot.kind, holder) if slot.kind else None
        is_key = beside is not None and part in beside.model_fields
        return slot.is_component and not is_key and not slot.of_each_name(holder, self.document)

    def step_list(
        self, holder: Node, items: list[Node], path: Path, slot: Slot, part: str, start: int, value: Node | None
    ) -> tuple[Node | None, Path, Slot]:
        """Go to an item by its index, or by the name of its component."""
        named = [index for index, item in enumerate(items) if _name(item) == part]
        below = slot.items or Slot()
        if not part.isdecimal() and len(named) == 1 and below.is_component:
            index = named[0]
            return self.step(items[index], (*path, index), below, part, start, value)
        if part.isdecimal() and len(part) < _DIGITS and int(part) < len(items):
            if value is not None:
                items[int(part)] = value
            return items[int(part)], (*path, int(part)), below
        names = [name for name in map(_name, items) if name]
        count = f"an index from 0 to {len(items) - 1}" if items else "no index, the list is empty"
        received = f"'{part}' {len(named)} times" if len(named) > 1 else f"{shown(part)} in a list"
        expected = f"expected {count}{', or one of ' + ', '.join(names) if names else ''}"
        self.problem(start, path, received, expected, None if part in names else closest(part, names))
        return None, path, slot

    def other_component(self, present: str, path: Path, part: str, start: int) -> None:
        here = dotted(path)
        if part[:1].isupper():
            received = f"'{part}' beside '{present}': two components in one place"
            expected = f"expected one; set {here}={{{part}: {{…}}}} to replace '{present}'"
        elif reason := where.not_needed(part):
            received, expected = f"unknown key '{part}'", reason
        else:
            received = f"'{part}' beside '{present}'"
            expected = f"expected the arguments of '{present}' under {here}.{present}, or {here}={{{part}: {{…}}}}"
        self.problem(start, path, received, expected)

    def problem(self, column: int, path: Path, received: str, expected: str, suggestion: str | None = None) -> None:
        self.problems.append(Problem(Place(self.text, 1, column + 1), dotted(path), received, expected, suggestion))


def _name(node: Node) -> str | None:
    if isinstance(node.value, str):
        return node.value
    return next(iter(node.value)) if isinstance(node.value, dict) and len(node.value) == 1 else None
