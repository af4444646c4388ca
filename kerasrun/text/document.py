"""The experiment as it was written: every value with its place, so that later checks can point at it."""

from dataclasses import dataclass
from typing import Any

from kerasrun.components import Component
from kerasrun.errors import ExperimentError
from kerasrun.text.problems import Place, Problem, Suggestion, dotted, experiment_error
from kerasrun.text.yaml_text import Node, Path, plain


@dataclass(frozen=True)
class Document:
    """An experiment's text, command line included; a path is a tuple such as `("compile", "optimizer", "SGD")`."""

    root: Node
    broken: tuple[str, ...] = ()
    """The key paths of what could not be read."""

    def is_broken(self, path: Path) -> bool:
        """Return whether anything at or below `path` could not be read."""
        return any(f"{one}.".startswith(f"{dotted(path)}.") for one in self.broken)

    def node(self, path: Path) -> Node | None:
        """Return the value at `path`, with its place; None where nothing was written."""
        node: Node | None = self.root
        for part in path:
            if node is None:
                return None
            node = child(node, part)
        return node

    def place(self, path: Path) -> Place:
        """Return the place of the value at `path`, or of the nearest section that should hold it."""
        for length in range(len(path), 0, -1):
            node = self.node(path[:length])
            if node is not None:
                return node.place if length == len(path) else node.key or node.place
        return self.root.place

    def key_place(self, path: Path) -> Place:
        """Return the place of the key at `path`; in a list, that of the value."""
        node = self.node(path)
        return node.key if node is not None and node.key else self.place(path)

    def problem(self, path: Path, received: str, expected: str = "", suggestion: Suggestion = None) -> Problem:
        """Return a problem with the value at `path`."""
        return Problem(self.place(path), dotted(path), received, expected, suggestion)

    def key_problem(self, path: Path, received: str, expected: str = "", suggestion: Suggestion = None) -> Problem:
        """Return a problem with the key at `path`."""
        return Problem(self.key_place(path), dotted(path), received, expected, suggestion)

    def error(self, path: Path, received: str, expected: str = "", suggestion: Suggestion = None) -> ExperimentError:
        """Return the error for a problem that is found later, for example when the data are open."""
        return experiment_error([self.problem(path, received, expected, suggestion)])


@dataclass(frozen=True)
class Written:
    """A component as it was written; `arguments` is None where there are none."""

    name: str
    path: Path
    """Where its arguments' paths begin: the component's own path, and its name if it has arguments."""
    place: Place
    arguments: dict[str, Node]

    @property
    def component(self) -> Component:
        return Component(self.name, {key: plain(value) for key, value in self.arguments.items()})


def child(node: Node, part: str | int) -> Node | None:
    """Return the value under a key or a list index."""
    if isinstance(node.value, dict) and isinstance(part, str):
        return node.value.get(part)
    if isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
        return node.value[part]
    return None


def written_component(node: Node | None, path: Path) -> Written | None:
    """Read `Name` or `{Name: {argument: value}}`; return None for anything else."""
    if node is None:
        return None
    if isinstance(node.value, str):
        return Written(node.value, path, node.place, {})
    if isinstance(node.value, dict) and len(node.value) == 1:
        ((name, arguments),) = node.value.items()
        place = arguments.key or arguments.place
        if arguments.value is None:
            return Written(name, (*path, name), place, {})
        if isinstance(arguments.value, dict):
            return Written(name, (*path, name), place, arguments.value)
    return None


def written_list(node: Node | None, path: Path) -> list[tuple[Path, Node]]:
    """Return the entries of a list, with their paths; nothing for anything else."""
    items: Any = node.value if node is not None else None
    return [((*path, index), item) for index, item in enumerate(items)] if isinstance(items, list) else []


def accept_class_name_form(node: Node, key: str = "") -> None:
    """Turn `{class_name: Dense, config: {units: 3}}`, as Keras writes its JSON, into `{Dense: {units: 3}}`, in place.

    A `dtype` stays as it is: Keras reads that form of it itself.
    """
    if isinstance(node.value, list):
        for item in node.value:
            accept_class_name_form(item)
    if not isinstance(node.value, dict):
        return
    for name, value in node.value.items():
        accept_class_name_form(value, name)
    written = node.value.get("class_name")
    extra = node.value.keys() - {"class_name", "config", "module", "registered_name", "build_config"}
    if key != "dtype" and written is not None and isinstance(written.value, str) and not extra:
        config = node.value.get("config", Node(None, written.place))
        node.value = {written.value: Node(config.value, config.place, written.place)}
