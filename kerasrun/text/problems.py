"""The problems of an experiment: each with its place, all of them in one message."""

import difflib
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice

from kerasrun.errors import ExperimentError

MOST = 20
"""How many problems a message tells."""
_MOST_NAMES = 50
"""How many names of a list it tells."""
_LONGEST = 200
"""How many characters of a line it shows."""
_LONGEST_SENTENCE = 4000


@dataclass(frozen=True, eq=False)  # to hash every line would take long
class Text:
    """A text that was read: an experiment file, or one `--set key.path=value`."""

    name: str
    lines: tuple[str, ...]
    order: int = 0
    """0 for the file; -1, -2, … for those that it builds on; 1, 2, … for what the command line sets."""
    before: int = 0
    """How many characters of the first line stand before the YAML."""

    def place(self, line: int, column: int) -> "Place":
        """A character of the YAML in this text."""
        return Place(self, line, column + (self.before if line == 1 else 0))


@dataclass(frozen=True)
class Place:
    """A character of a text; line and column count from 1."""

    text: Text
    line: int
    column: int

    def __str__(self) -> str:
        if self.text.order > 0:
            return f"{self.text.name}: column {self.column}"
        return f"{self.text.name}:{self.line}:{self.column}"

    @property
    def excerpt(self) -> str:
        """The line, a long one cut around the column, and a caret under that; empty where the text has no such line."""
        if self.line > len(self.text.lines):
            return ""
        line, column = _cut(self.text.lines[self.line - 1], self.column)
        line = re.sub("[\x00-\x08\x0b-\x1f\x7f]", "\N{REPLACEMENT CHARACTER}", line)
        before = "".join("\t" if character == "\t" else " " for character in line[: column - 1])
        return f"    {line}\n    {before}^" if line.strip() else ""


def _cut(line: str, column: int) -> tuple[str, int]:
    """Return the part of a line that is shown, and the column in it."""
    begin = min(max(0, column - _LONGEST // 2), max(0, len(line) - _LONGEST))
    end = begin + _LONGEST
    front, back = "…" if begin else "", "…" if end < len(line) else ""
    return f"{front}{line[begin:end]}{back}", column - begin + len(front)


@dataclass(frozen=True)
class Problem:
    """One mistake: where, what was received, what was expected, and the nearest right name."""

    place: Place
    key_path: str
    received: str
    expected: str = ""
    suggestion: "Suggestion" = field(default=None, compare=False)

    def __str__(self) -> str:
        heading = f"{self.place}: {self.sentence}"
        return "\n".join(part for part in (heading, self.place.excerpt) if part)

    @property
    def sentence(self) -> str:
        """The key path and what is wrong, without the place."""
        suggestion = self.suggestion() if callable(self.suggestion) else self.suggestion
        parts = [self.received, self.expected, f"did you mean '{suggestion}'?" if suggestion else ""]
        sentence = _within("; ".join(part for part in parts if part), _LONGEST_SENTENCE)
        return ": ".join(part for part in (_within(self.key_path, _LONGEST), sentence) if part)


def experiment_error(problems: Iterable[Problem]) -> ExperimentError:
    """The problems in the order of the text, at most `MOST`, with their number when there are several."""
    ordered = sorted(problems, key=lambda problem: (problem.place.text.order, problem.place.line, problem.place.column))
    found = list(dict.fromkeys(ordered))
    lines = [str(problem) for problem in found[:MOST]]
    if len(found) > 1:
        more = f"and {len(found) - MOST:,} more: " if found[MOST:] else ""
        lines.append(f"{more}{len(found):,} problems")
    error = ExperimentError("\n".join(lines))
    error.sentences = tuple(problem.sentence for problem in found[:MOST])
    return error


Suggestion = str | None | Callable[[], str | None]
"""The nearest right name, or what finds it: of very many problems, few are told."""


def nearest(name: object, candidates: Iterable[str]) -> Callable[[], str | None]:
    """Return what finds the candidate that was probably meant, when it is told; none for what is not text."""
    return lambda: closest(name, candidates) if isinstance(name, str) else None


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant; upper case, `_` and `-` do not count."""
    squashed: dict[str, list[str]] = {}
    for candidate in candidates:
        squashed.setdefault(_squash(candidate), []).append(candidate)
    found = difflib.get_close_matches(_squash(name), squashed, n=1, cutoff=0.6)
    if not found:  # `acc` is too short for that, but begins `accuracy`
        begun = [one for one in squashed if one.startswith(_squash(name))] if len(name) > 1 else []
        return min(squashed[min(begun, key=len)]) if begun else None
    # Of `Accuracy` and `accuracy`, the one that is spelled more like `name`.
    return max(squashed[found[0]], key=lambda one: difflib.SequenceMatcher(None, name, one).ratio())


def _squash(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")


def dotted(path: tuple[str | int, ...]) -> str:
    """`("callbacks", 0, "EarlyStopping")` → `callbacks.0.EarlyStopping`."""
    return ".".join(str(part) for part in path)


def shown(value: object) -> str:
    """A received value in a few words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f"'{_short(value)}'"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"


def _within(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def listed(names: Iterable[str], conjunction: str = "or") -> str:
    """`a, b or c`; of very many, the first."""
    known = names if isinstance(names, Collection) else list(names)
    *front, last = list(islice(known, _MOST_NAMES)) or ["nothing"]
    if len(known) > _MOST_NAMES:
        front, last, conjunction = [*front, last], f"{len(known) - _MOST_NAMES:,} more", "and"
    return f"{', '.join(front)} {conjunction} {last}" if front else last
