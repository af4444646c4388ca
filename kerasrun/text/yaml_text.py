"""YAML text → values that know their place. What YAML 1.1 gets wrong is put right here.

Only `true` and `false` are booleans, only decimal numbers without leading zeros are numbers (`1e-3` and `60_000` are),
and everything else is text: `no`, `0001`, `12:30:00`. Keys are always text. Duplicate keys and tags are problems.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from kerasrun.text.json_text import MOST_LEVELS
from kerasrun.text.problems import Place, Problem, Text, dotted
from kerasrun.text.yaml_errors import syntax_problem

Scalar = None | bool | int | float | str
Path = tuple[str | int, ...]

MOST_VALUES = 100_000
"""More than any experiment has; aliases of aliases reach it before they fill the memory."""

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIGITS = r"(?:0|[1-9][0-9]{0,2}(?:_[0-9]{3})+|[1-9][0-9]*)"
_INTEGER = re.compile(rf"[-+]?{_DIGITS}")
_FLOAT = re.compile(
    rf"[-+]?(?:{_DIGITS}\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|{_DIGITS}[eE][-+]?[0-9]+)"
)
_SPECIAL = {"inf": "inf", "+inf": "inf", "-inf": "-inf", "nan": "nan"}


@dataclass
class Node:
    """A value of the experiment with its place; `key` is the place of its key, if it has one."""

    value: Scalar | dict[str, "Node"] | list["Node"]
    place: Place
    key: Place | None = None
    written: str | None = None
    """An unquoted scalar as it was written: `1.10`, for where text is wanted."""
    variables: tuple[str, ...] = ()
    """The environment variables of which it has its value."""


def parse(content: str, text: Text, problems: list[Problem], path: Path = ()) -> Node | None:
    """Read one YAML document, the value at `path`; None where what is added to `problems` leaves nothing to read."""
    strange = NOT_TEXT.search(content)
    if strange:
        place = place_of(content, strange.start(), text)
        received = f"the character U+{ord(strange.group()):04X}"
        problems.append(Problem(place, "", received, "expected text; is this a YAML file?"))
        return None
    try:
        refused = _refused(content, text)
        root = None if refused else yaml.compose(content, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        problems.append(syntax_problem(error, split_lines(content), text))
        return None
    if refused:
        problems.append(refused)
        return None
    if root is None:
        return Node(None, text.place(1, 1))
    return _Builder(text, problems).build(root, path)


def split_lines(content: str) -> tuple[str, ...]:
    """The lines as YAML counts them."""
    return tuple(_BREAK.split(content))


def place_of(content: str, index: int, text: Text) -> Place:
    """The place of a character of `content`."""
    before = _BREAK.split(content[:index])
    return text.place(len(before), len(before[-1]) + 1)


def plain(node: Node) -> Any:
    """The value without its places."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """The node and everything below it, with their paths."""
    yield path, node
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from walk(child, (*path, key))
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            yield from walk(child, (*path, index))


def read_scalar(written: str) -> Scalar:
    """Return the value that an unquoted scalar means."""
    if written in ("", "~") or written.lower() == "null":
        return None
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    if _INTEGER.fullmatch(written):
        # No number that is meant is longer, nor is all arithmetic possible with such; text meets a clear message later.
        return int(written) if len(written) < 100 else written
    if _FLOAT.fullmatch(written):
        return float(written)
    sign, dot, word = written.lower().rpartition(".")
    if dot and sign + word in _SPECIAL:
        return float(_SPECIAL[sign + word])
    return written


_PLAIN, _QUOTED, _COLLECTION = "plain", "quoted", "collection"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Marks what has no tag, so that every other tag was written by the user."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is not yaml.ScalarNode:
            return _COLLECTION
        return _PLAIN if implicit[0] else _QUOTED


def _refused(content: str, text: Text) -> Problem | None:
    """What is beyond `MOST_LEVELS` or `MOST_VALUES`, as the composer in C recurses and would end the process; or NUL,
    which no path and no name can have.
    """
    depth = values = 0
    for event in yaml.parse(content, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.NodeEvent)
        if depth > MOST_LEVELS:
            received, expected = "a value inside of very many others", f"expected at most {MOST_LEVELS} levels"
        elif values > 2 * MOST_VALUES:  # keys are counted as well
            received, expected = "very many values", f"expected at most {MOST_VALUES:,}"
        elif isinstance(event, yaml.ScalarEvent) and "\0" in event.value:
            received, expected = "the character U+0000", "expected text"
        else:
            continue
        mark: Any = event.start_mark
        place = text.place(mark.line + 1, mark.column + 1)
        return Problem(place, "", received, expected)
    return None


@dataclass
class _Builder:
    text: Text
    problems: list[Problem]
    built: int = 0

    def build(self, node: yaml.Node, path: Path, above: tuple[yaml.Node, ...] = ()) -> Node:
        place = self.place(node)
        self.built += 1
        if self.built > MOST_VALUES:
            if self.built == MOST_VALUES + 1:
                self.problem(node, path, "aliases that repeat each other", f"expected at most {MOST_VALUES:,} values")
            return Node(None, place)
        if any(node is holder for holder in above):
            self.problem(node, path, "an alias inside of what it stands for", "expected values that end")
            return Node(None, place)
        if node.tag not in (_PLAIN, _QUOTED, _COLLECTION):
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self.problem(node, path, f"the tag {tag}", "expected plain values; tags are not read")
        if isinstance(node, yaml.MappingNode):
            return Node(self.mapping(node, path, (*above, node)), place)
        if isinstance(node, yaml.SequenceNode):
            items = [self.build(item, (*path, index), (*above, node)) for index, item in enumerate(node.value)]
            return Node(items, place)
        if node.tag == _PLAIN:
            return Node(read_scalar(node.value), place, written=node.value)
        return Node(node.value, place)

    def mapping(self, node: yaml.MappingNode, path: Path, above: tuple[yaml.Node, ...]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problem(key, path, "a key that is a list or a mapping", "expected a name, then ':'")
            elif key.tag == _PLAIN and key.value == "<<":
                self.merge(value, path, above, merged)
            elif key.value in found:
                first = found[key.value].key
                assert first is not None
                line = self.place(key).line
                where = f"line {first.line}, here in line {line}" if first.line != line else f"column {first.column}"
                received = f"the key '{key.value}' again (first in {where})"
                self.problem(key, (*path, key.value), received, "expected every key once")
            else:
                child = self.build(value, (*path, key.value), above)
                child.key = self.place(key)
                if child.written == "":
                    child.place = child.key
                found[key.value] = child
        return found | {key: value for key, value in merged.items() if key not in found}

    def merge(self, node: yaml.Node, path: Path, above: tuple[yaml.Node, ...], found: dict[str, Node]) -> None:
        """Add what the mapping, or the mappings, behind `<<` have; the first one counts."""
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(source, yaml.MappingNode):
                merged = self.build(source, path, above).value
                for key, value in merged.items() if isinstance(merged, dict) else ():
                    found.setdefault(key, value)
            else:
                self.problem(
                    source, path, "a merge (<<) of what is no mapping", "expected an alias of a mapping: <<: *name"
                )

    def place(self, node: yaml.Node) -> Place:
        return self.text.place(node.start_mark.line + 1, node.start_mark.column + 1)

    def problem(self, node: yaml.Node, path: Path, received: str, expected: str) -> None:
        self.problems.append(Problem(self.place(node), dotted(path), received, expected))
