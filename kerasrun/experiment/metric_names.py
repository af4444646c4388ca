"""The names of metrics in the logs."""

from collections.abc import Iterable, Mapping, Sequence

from kerasrun.components import Component, snake_case


def by_name(metrics: Sequence[Component], prefix: str = "", taken: Iterable[str] = ()) -> Mapping[str, Component]:
    """Return each metric under its `name`, else what was written in snake case; repeated ones get `_1`, `_2`.

    Args:
        prefix: what every name begins with.
        taken: names that others have already.
    """
    found: dict[str, Component] = {}
    for metric in metrics:
        name = prefix + str(metric.arguments.get("name") or snake_case(metric.name))
        unique = name
        number = 0
        while unique in found or unique in taken:
            number += 1
            unique = f"{name}_{number}"
        found[unique] = metric
    return found
