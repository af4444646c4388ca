"""The text files of an experiment: the one that is named, and those that it builds on, below it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath

from kerasrun.components import PlacedText
from kerasrun.errors import ExperimentError
from kerasrun.experiment.slots import EXPERIMENT, Slot
from kerasrun.experiment.variables import fill
from kerasrun.regular_files import open_regular
from kerasrun.text import yaml_text
from kerasrun.text.document import Document, accept_class_name_form, written_list
from kerasrun.text.problems import Problem, Suggestion, Text, closest, dotted, experiment_error, shown
from kerasrun.text.yaml_text import MOST_VALUES, Node, Path, walk

BASE = "base"
"""The key that names the files on which one builds."""
_LARGEST = 2**24
"""How many bytes are read before a file is taken for something else, such as data; of all bases together as well."""
_MOST_BASES = 50
"""How many files an experiment may name as its bases, each as often as it is named."""


@dataclass(frozen=True)
class Base:
    """A file on which an experiment builds."""

    path: FilePath
    """Absolute."""
    text: str


def read_text(path: FilePath, most: int = _LARGEST) -> str:
    """Return the text of an experiment file.

    Raises:
        ExperimentError: if there is none, or it has more than `most` bytes.
    """
    try:
        with open_regular(path) as file:
            content = file.read(most + 1)
    except IsADirectoryError:
        raise ExperimentError(f"{path}: a folder; expected an experiment file{_offered(path)}") from None
    except FileNotFoundError:
        offered = _offered(path.parent, path)
        raise ExperimentError(f"{path}: no such file; expected an experiment file{offered}") from None
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise ExperimentError(f"{path}:1:1: has more than {most:,} bytes; expected an experiment file")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = yaml_text.split_lines(content[: error.start].decode())
        place = f"{path}:{len(before)}:{len(before[-1]) + 1}"
        hint = "it is UTF-16; " if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise ExperimentError(f"{place}: not UTF-8 text; {hint}expected a YAML file saved as UTF-8") from None


def _offered(folder: FilePath, wanted: FilePath | None = None) -> str:
    """Return what else the folder holds: the file that was probably meant, or the first few."""
    if not folder.is_dir():
        return f" (there is no folder {folder})"
    if not os.access(folder, os.R_OK):
        return ""
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".yaml", ".yml"))
    meant = closest(wanted.name, names) if wanted else None
    if meant:
        return f"; did you mean '{folder / meant}'?"
    return f"; {folder} has {', '.join(names[:5])}{' …' if len(names) > 5 else ''}" if names else ""


def parse_text(content: str, name: str, problems: list[Problem], order: int = 0) -> Node | None:
    """Return the values of an experiment file; None where what is added to `problems` leaves nothing to read.

    Args:
        name: the file, for messages.
        order: as of a `Text`.
    """
    content = content.removeprefix("\ufeff")
    root = yaml_text.parse(content, Text(name, yaml_text.split_lines(content), order), problems)
    if root is not None:
        accept_class_name_form(root)
    return root


def no_sections(root: Node) -> Problem:
    """Return what is wrong with a file that is no mapping."""
    received, expected = f"{shown(root.value)} at the top", "expected sections: 'data:', 'model:', …"
    if root.value is None:
        received, expected = "an empty experiment", "expected at least the sections 'data' and 'model'"
    elif isinstance(root.value, str):
        received = shown(root.value)
    return Problem(root.place, "", received, expected)


def on_its_bases(root: Node, file: FilePath, problems: list[Problem]) -> tuple[Node, tuple[Base, ...]]:
    """Return an experiment with what its bases say where it says nothing itself, and the bases.

    Args:
        root: the experiment as it is in `file`.

    Raises:
        ExperimentError: if a base cannot be read; what is wrong with their values is added to `problems`.
    """
    chain = _Chain(root, file, problems)
    chain.add(root, file)
    if not chain.is_whole:
        raise experiment_error(problems)
    # A model is replaced as a whole, so the last one decides what the outputs are called.
    with_model = (one for one in reversed(chain.roots) if isinstance(one.value, dict) and "model" in one.value)
    document = Document(next(with_model, root))
    found, *above = chain.roots
    for one in above:
        found = _over(found, one, EXPERIMENT, document)
    return found, tuple(chain.bases)


class _Chain:
    """The files of an experiment in the order in which later ones win."""

    def __init__(self, root: Node, file: FilePath, problems: list[Problem]) -> None:
        self.problems = problems
        self.roots: list[Node] = []
        self.bases: list[Base] = []
        self.is_whole = True
        self._begun = {os.path.realpath(file)}
        """Every file that was begun, by its path without links."""
        self._named = self._bytes = 0
        self._values = _count(root)

    def add(self, root: Node, file: FilePath, above: tuple[FilePath, ...] = ()) -> None:
        """Add the bases of a file, and then its own values; `above` are the files that build on it."""
        for path, node in self._names(root):
            self._follow(node, path, (*above, file))
        self.roots.append(root)

    def _names(self, root: Node) -> Iterator[tuple[Path, Node]]:
        """Take out of a file the names of its bases."""
        written = root.value.pop(BASE, None) if isinstance(root.value, dict) else None
        if written is None or written.value is None:
            return
        wrong = {id(node): problem for node, problem in fill(written, os.environ, (BASE,))}
        items = written_list(written, (BASE,)) if isinstance(written.value, list) else [((BASE,), written)]
        for path, node in items:
            self._named += 1
            if self._named > _MOST_BASES:
                self._refuse(node, path, "very many bases", f"expected at most {_MOST_BASES} in all files")
                return
            if problem := wrong.get(id(node)):
                self._refuse(node, path, problem.received, problem.expected, problem.suggestion)
            elif isinstance(node.value, str):
                yield path, node
            else:
                expected = "expected the name of an experiment file, or a list of such names"
                self._refuse(node, path, f"received {shown(node.value)}", expected)

    def _follow(self, node: Node, path: Path, above: tuple[FilePath, ...]) -> None:
        # As it is shown in messages; pathlib's `expanduser` raises where there is no such user.
        file = FilePath(above[-1].parent, os.path.expanduser(str(node.value)))  # noqa: PTH111
        own = os.path.realpath(file)
        tidy = os.path.normpath(file)  # another file where a folder before '..' is a link
        file = FilePath(tidy) if os.path.realpath(tidy) == own else file
        if own in map(os.path.realpath, above):
            circle = " → ".join(map(str, [*above, file]))
            self._refuse(node, path, f"a circle of files: {circle}", "expected files that do not build on themselves")
        if own in self._begun:
            return
        self._begun.add(own)
        try:
            content = read_text(file, _LARGEST - self._bytes)
        except ExperimentError as error:
            self._refuse(node, path, str(error))
            return
        self._bytes += len(content.encode())
        root = parse_text(content, str(file), self.problems, 1 - len(self._begun))
        self._values += 0 if root is None else _count(root)
        if root is None:
            self.is_whole = False
        elif not isinstance(root.value, dict):
            self.problems.append(no_sections(root))
            self.is_whole = False
        elif self._values > MOST_VALUES:
            self._refuse(node, path, "very many values", f"expected at most {MOST_VALUES:,} in all files")
        else:
            folder = file.parent.absolute()
            for _, one in walk(root):
                if isinstance(one.value, str):
                    one.value = PlacedText(one.value, folder)
            self.add(root, file, above)
            self.bases.append(Base(file.absolute(), content))

    def _refuse(self, node: Node, path: Path, received: str, expected: str = "", suggestion: Suggestion = None) -> None:
        self.problems.append(Problem(node.place, dotted(path), received, expected, suggestion))
        self.is_whole = False


def _count(root: Node) -> int:
    return sum(1 for _ in walk(root))


def _over(below: Node, above: Node, slot: Slot, document: Document) -> Node:
    """Return what two files say of a place: keys are put together, and of anything else `above` is all that counts."""
    if not _holds_keys(below, slot, document) or not _holds_keys(above, slot, document):
        return above
    assert isinstance(below.value, dict)
    assert isinstance(above.value, dict)
    slot_of = slot.inside(above, document)
    values = dict(below.value)
    for key, value in above.value.items():
        if value.value is None:
            values.pop(key, None)
        else:
            values[key] = _over(values[key], value, slot_of(key), document) if key in values else value
    return Node(values, above.place, above.key)


def _holds_keys(node: Node, slot: Slot, document: Document) -> bool:
    """Return whether a value, which is in this place, is a mapping and no component."""
    has_plain_values = slot.by_output == Slot()  # such as weights by the name of a class
    is_keys = bool(slot.section or has_plain_values or slot.of_each_name(node, document))
    return isinstance(node.value, dict) and is_keys
