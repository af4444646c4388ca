"""Where each value of an experiment comes from: a file, the environment, the command line, or a default."""

from collections.abc import Iterator

import yaml

from kerasrun.experiment.load import Loaded
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.stderr import plain
from kerasrun.text.document import Document, child
from kerasrun.text.yaml_text import Node, Path, split_lines, walk

_COLUMN = 40


def with_origins(loaded: Loaded) -> str:
    """Return the experiment with every default filled in, and behind each value a comment that says its origin."""
    text = resolved_yaml(loaded.experiment)
    lines = list(split_lines(text))
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None
    for path, line in _values(root):
        lines[line] = f"{lines[line]:{_COLUMN}}  # {plain(_origin(loaded.document, path))}"
    return "\n".join(lines)


def _values(node: yaml.Node, path: Path = ()) -> Iterator[tuple[Path, int]]:
    """Yield the path of everything that ends in a line of its own, and the number of that line from 0."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        for key, value in node.value:
            yield from _values(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode) and not node.flow_style:
        for index, item in enumerate(node.value):
            yield from _values(item, (*path, index))
    else:
        yield path, node.end_mark.line


def _origin(document: Document, path: Path) -> str:
    node: Node | None = document.root
    for part in path:
        # A list of one may be written without brackets.
        if node is not None and (isinstance(part, str) or isinstance(node.value, list)):
            node = child(node, part)
    if node is None:
        return "default"
    values = [one for _, one in walk(node) if not isinstance(one.value, dict | list)]
    return ", ".join(dict.fromkeys(map(_words, values or [node])))


def _words(node: Node) -> str:
    text = node.place.text
    place = text.name if text.order > 0 else f"{text.name}:{node.place.line}"
    names = ", ".join(f"${{{name}}}" for name in node.variables)
    return f"{names} in {place}" if names else place
