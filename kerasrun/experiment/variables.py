"""`${NAME}` and `${NAME:-default}` in the values of an experiment: what the environment says."""

import re
from collections.abc import Mapping

from kerasrun.components import PlacedText
from kerasrun.text.problems import Problem, dotted, shown
from kerasrun.text.yaml_text import NOT_TEXT, Node, Path, read_scalar, walk

_MOST_CHARACTERS = 2**24
"""How many one text may have filled in; a variable may be long, and be named very often."""
_MOST_IN_ONE = 1000
"""How many variables one value may name."""
_VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")


def fill(root: Node, environment: Mapping[str, str] | None, path: Path = ()) -> list[tuple[Node, Problem]]:
    """Put the values of variables in their places, in `root` itself, which is at `path`; `$${` becomes `${`.

    What is one variable and no more is then read as if its value stood there without quotes, as is all that has none.

    Args:
        environment: the variables; None leaves every `${NAME}` as it is.

    Returns:
        what is wrong, each with its value, since that may yet be replaced by another.
    """
    wrong: list[tuple[Node, Problem]] = []
    filled = 0
    for at, node in walk(root, path):
        written = node.value
        if not isinstance(written, str) or "${" not in written:
            continue
        if written.count("${") > _MOST_IN_ONE:
            expected = f"expected at most {_MOST_IN_ONE:,}"
            wrong.append((node, Problem(node.place, dotted(at), "very many '${' in one value", expected)))
            continue
        found = list(_VARIABLE.finditer(written))
        values = [_value(one, environment) for one in found]
        filled += sum(map(len, values))
        fault = next((words for one in found if (words := _fault(one, environment))), None)
        if fault is None and filled > _MOST_CHARACTERS:
            fault = "very much text from the environment", f"expected at most {_MOST_CHARACTERS:,} characters"
        if fault:
            wrong.append((node, Problem(node.place, dotted(at), *fault)))
            continue
        remaining = iter(values)
        text = _VARIABLE.sub(lambda _, remaining=remaining: next(remaining), written)  # type: ignore[misc]
        is_whole = found[0][1] is not None and found[0][0] == written
        if is_whole or node.written is not None:
            node.written = text
            node.value = read_scalar(text)
        else:
            node.value = text
        if isinstance(node.value, str) and isinstance(written, PlacedText):
            node.value = PlacedText(node.value, written.folder)
        node.variables = tuple(one[1] for one in found if one[1] and (environment or {}).get(one[1]))
    return wrong


def _value(found: re.Match[str], environment: Mapping[str, str] | None) -> str:
    name, default = found.groups()
    if found[0] == "$${":
        return "${"
    return found[0] if name is None or environment is None else environment.get(name) or default or ""


def _fault(found: re.Match[str], environment: Mapping[str, str] | None) -> tuple[str, str] | None:
    """Return what was received and what was expected, if no value is to be had."""
    name, default = found.groups()
    if found[0] == "$${" or environment is None:
        return None
    if name is None:
        rest = found.string[found.start() :].partition("}")
        expected = "expected ${NAME}, or ${NAME:-default} without braces in the default; $${ stands for ${"
        return f"received {shown(rest[0] + rest[1])}", expected
    value = environment.get(name)
    if value is None and default is None:
        return f"no environment variable {name}", f"expected it, or a default: ${{{name}:-default}}"
    if strange := NOT_TEXT.search(value or ""):
        return f"the character U+{ord(strange[0]):04X} in the environment variable {name}", "expected text"
    return None
