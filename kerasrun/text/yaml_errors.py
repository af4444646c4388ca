"""The YAML parser's messages in the words of somebody who writes an experiment."""

import re

import yaml

from kerasrun.text.problems import Problem, Text


def syntax_problem(error: yaml.MarkedYAMLError, lines: tuple[str, ...], text: Text) -> Problem:
    """The problem where YAML could not be parsed; a tab in the indentation is told as such."""
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark or error.context_mark
    begun = ("simple key", "quoted scalar", "flow sequence", "flow mapping")
    if error.context_mark is not None and any(word in context for word in begun):
        mark = error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    if line > len(lines):  # libyaml adds the line break that is missing at the end
        line, column = len(lines), len(lines[-1]) + 1
    for number in (line, line - 1):
        indentation = re.match(r"[ \t]*", lines[number - 1] if 0 < number <= len(lines) else "")
        if indentation and "\t" in indentation.group():
            place = text.place(number, indentation.group().index("\t") + 1)
            return Problem(place, "", "a tab in the indentation", "expected spaces: YAML does not indent with tabs")
    if "mapping values are not allowed" in problem and ":" not in lines[line - 1][: column - 1]:
        return _misplaced_key(line, lines, text)
    at = error.problem_mark
    if at is not None and at.line < len(lines) and lines[at.line][max(0, at.column - 1) :].startswith("${"):
        place = text.place(at.line + 1, at.column)
        return Problem(place, "", "'${' inside of braces or brackets", 'expected quotes around it: "${NAME}"')
    if "did not find expected key" in problem and lines[line - 1][column - 1 : column] == ",":
        return Problem(text.place(line, column), "", "a comma after a value", "expected the end of the line")
    for words, (received, expected) in _EXPLAINED.items():
        if words in problem:
            return Problem(text.place(line, column), "", received, expected)
    return Problem(text.place(line, column), "", f"not YAML: {problem}{f' ({context})' if context else ''}", "")


# Parts of the messages of libyaml, or of PyYAML's own parser, and what they mean.
_EXPLAINED = {
    "mapping values are not allowed": (
        "a second ':' in this place",
        "expected one 'key: value' a line; quote text that has ': '",
    ),
    "could not find expected ':'": ("a line that is no 'key: value'", "expected ':' and a space after the key"),
    "did not find expected key": ("a key in an unexpected place", "expected the indentation of the keys above"),
    "did not find expected '-' indicator": ("a line that is no list item", "expected '- ', like the items above"),
    "cannot start any token": (
        "a character that cannot begin a value",
        "expected quotes around text that begins with @, `, % or a tab",
    ),
    "found undefined alias": (
        "an alias (*name) that is not defined above",
        "expected its anchor (&name) first; quote text that begins with '*'",
    ),
    "found unexpected end of stream": ("a text whose closing quote is missing", "expected the same quote at its end"),
    "but found another document": ("a second document ('---')", "expected one experiment in a file"),
    "',' or ']'": ("a list whose ']' or ',' is missing", "expected [value, value]"),
    "',' or '}'": ("a mapping whose '}' or ',' is missing", "expected {key: value, key: value}"),
}


def _misplaced_key(line: int, lines: tuple[str, ...], text: Text) -> Problem:
    """A key where the line above still goes on: that line is no `key: value`, or this one is indented too far."""
    above = next((number for number in range(line - 1, 0, -1) if lines[number - 1].strip()), line)
    if re.search(r":(\s|$)", lines[above - 1]):
        column = len(lines[line - 1]) - len(lines[line - 1].lstrip()) + 1
        return Problem(
            text.place(line, column),
            "",
            "a key below a value",
            f"expected the indentation of line {above}, or no value there",
        )
    column = len(lines[above - 1]) - len(lines[above - 1].lstrip()) + 1
    received, expected = _EXPLAINED["could not find expected ':'"]
    return Problem(text.place(above, column), "", received, expected)
