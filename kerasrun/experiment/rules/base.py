"""The facts that rules are given; all rules are run after the text was read, and again when the data are open.

A rule is a function `check` in a file of this folder; it is found by listing the folder. It returns what is wrong as
far as the facts tell, and nothing for what is not known yet.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kerasrun.errors import DataError
from kerasrun.experiment.schema import Experiment
from kerasrun.families import modules
from kerasrun.reading.data import INPUT, LabelKind, Shape
from kerasrun.sources.base import Source
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, experiment_error

WHAT_VALIDATES = ("validation_split", "validation_fold", "validation_data")
"""The keys of `fit` that say which examples validate, one of which may be given."""


@dataclass(frozen=True)
class Facts:
    """Facts about the data; None where they are not known yet."""

    label_kind: LabelKind | None = None
    classes: Sequence[str] | None = None
    """The names of the classes, or of the columns of other labels."""
    columns: int | None = None
    """How many labels an example has."""
    example_shape: Shape | None = None
    validates: bool | None = None
    """True if anything validates."""
    batches: int | None = None
    """How many batches could validate."""
    inputs: tuple[str, ...] = (INPUT,)
    """The names of the network's inputs."""
    weighted: bool = False
    """Whether it is known that the examples have weights of their own."""


Rule = Callable[[Experiment | None, Facts, Document], list[Problem]]
"""The type of `check`. The experiment is None where it could not be read; the document knows what is broken in it."""


def facts_of_text(source: Source | None, places: Document) -> Facts:
    """Return what the experiment says of its data; a source of which a part could be read says what it can."""

    def said(name: str) -> Any:
        try:
            return getattr(source, name)
        except (AttributeError, LookupError, StopIteration, TypeError, ValueError):
            return None  # a key that it needs could not be read

    given = (places.node(("fit", key)) for key in WHAT_VALIDATES)
    validates = True if any(node is not None and node.value is not None for node in given) else None
    kind, classes, columns, shape = map(said, ("label_kind", "listed_classes", "label_columns", "example_shape"))
    inputs, weighted = said("input_names") or (INPUT,), said("sample_weight") is not None
    return Facts(kind, classes, columns, shape, validates, inputs=inputs, weighted=weighted)


def problems(experiment: Experiment | None, facts: Facts, places: Document) -> list[Problem]:
    """Return what all rules find."""
    return [problem for rule in _rules() for problem in rule(experiment, facts, places)]


def check_with_data(experiment: Experiment, facts: Facts, places: Document) -> None:
    """Check all rules once the data are open.

    Raises:
        DataError: if the data are not what the experiment says of them; the message lists every problem.
    """
    if found := problems(experiment, facts, places):
        raise DataError(str(experiment_error(found)))


@functools.cache
def _rules() -> tuple[Rule, ...]:
    return tuple(module.check for module in modules(__package__).values())
