"""Names of classes that are text: 1 and 1.0 are one class, and what means a missing value is none."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

MISSING = frozenset(
    {"", "nan", "-nan", "na", "n/a", "#n/a", "#na", "<na>", "null", "none", "nil", "?", "-", ".", "missing", "1.#ind"}
)
"""How pandas, R, spreadsheets and the UCI repository write a value that is missing, in lower case."""
_BOOLEANS = {"true": "1", "false": "0", "yes": "1", "no": "0"}


def value_of(text: str) -> Decimal | None:
    """Return the number that a text or a boolean word is, with all its digits; None if it is none that is finite."""
    try:
        value = Decimal(_BOOLEANS.get(text.lower(), text))
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def distinct_classes(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the classes that texts name, sorted, as numbers where all are numbers."""
    named: dict[Decimal, str] = {}
    # Of 1 and 1.0, which are one class, the shorter text is the name.
    for text in sorted(texts, key=lambda text: (-len(text), text)):
        value = value_of(text)
        if value is None:
            return tuple(sorted(set(texts)))
        named[value] = text
    return tuple(named[value] for value in sorted(named))


def numbers_of(texts: Iterable[str], classes: Sequence[str]) -> Mapping[str, int]:
    """Return the class number of each text that names a class; as numbers where all classes are different numbers."""
    by_value = {value_of(name): number for number, name in enumerate(classes)}
    if None not in by_value and len(by_value) == len(classes):
        return {text: by_value[value] for text in texts if (value := value_of(text)) in by_value}
    return {name: number for number, name in enumerate(classes)}
