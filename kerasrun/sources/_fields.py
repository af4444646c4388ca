"""YAML fields that several kinds of data share."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

ArrayLabels = Literal["classes", "multi_label", "numbers"]
"""The kinds of labels that arrays can hold; for the others see `LabelKind`."""
Length = Annotated[int, Field(ge=1)]
ImageSize = Annotated[
    tuple[Length, Length], BeforeValidator(lambda value: (value,) * 2 if type(value) is int else value)
]
"""`[height, width]`, or one number for both."""
OnBadFile = Literal["error", "skip"]


def _as_text(value: Any) -> Any:
    """Turn class names into text, also where YAML reads a number or a truth value (`7`, `0001`, `1.10`, `no`)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return getattr(value, "text", str(value))
    return value


def _without_repetition(names: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"each class must be listed once; listed more than once: {', '.join(repeated)}")
    return names


ClassName = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]
ClassNames = Annotated[
    tuple[ClassName, ...],
    Field(min_length=2),
    AfterValidator(_without_repetition),
]
