"""The values that `sweep` searches: as they are set in an experiment, and whether it can have them. Light to import."""

from collections.abc import Iterator, Sequence

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import Given, Loaded, load
from kerasrun.experiment.resolved import flow_yaml
from kerasrun.experiment.schema import Parameter
from kerasrun.text.problems import Problem, experiment_error
from kerasrun.text.yaml_text import walk

WITHOUT = "sweep=null"
"""The override that makes of an experiment with a search one of its trials."""
_MOST_VALUES, _MOST_CHECKS = 500, 10_000
"""How many values are tried, each of which has the whole file read; and how many mappings that makes in all."""


def choices(parameter: Parameter) -> list[str]:
    """Return the values of a choice as YAML, as which a trial has them."""
    return [flow_yaml(value) for value in parameter.choice or ()]


def check_values(loaded: Loaded, file: Given, overrides: Sequence[str]) -> None:
    """Read the experiment once with each choice and each bound of each parameter, alone.

    Args:
        loaded: what `load(file, overrides)` returned.

    Raises:
        ExperimentError: naming every value that the experiment refuses, with its place in the section.
    """
    sweep = loaded.experiment.sweep
    problems: list[Problem] = []
    _require_few(loaded)
    for key, parameter in sweep.parameters.items() if sweep else ():
        path = ("sweep", "parameters", key)
        refused: list[tuple[tuple[str | int, ...], str, str]] = []
        tried = list(_tried(parameter))
        for place, text in tried:
            try:
                load(file, [*overrides, WITHOUT, f"{key}={text}"])
            except ExperimentError as error:
                refused.append(((*path, *place), text, "; ".join(error.sentences)))
        if len(refused) == len(tried) and len({why for _, _, why in refused}) == 1:
            problems.append(loaded.document.key_problem(path, "no value is taken", refused[0][2]))
        else:
            problems += [loaded.document.problem(at, f"{text} is not taken", why) for at, text, why in refused]
    if problems:
        raise experiment_error(problems)


def _require_few(loaded: Loaded) -> None:
    sweep = loaded.experiment.sweep
    values = sum(1 for one in sweep.parameters.values() for _ in _tried(one)) if sweep else 0
    mappings = sum(isinstance(node.value, dict) for _, node in walk(loaded.document.root))
    if values > min(_MOST_VALUES, _MOST_CHECKS // mappings):
        received = f"{values:,} choices and bounds"
        expected = f"expected at most {_MOST_VALUES}, fewer in an experiment of more than 20 mappings: use low and high"
        raise loaded.document.error(("sweep", "parameters"), received, expected)


def _tried(parameter: Parameter) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the values to try, with their places below the parameter."""
    for index, text in enumerate(choices(parameter)):
        yield ("choice", index), text
    if parameter.choice is None:
        yield from ((("low",), flow_yaml(parameter.low)), (("high",), flow_yaml(parameter.high)))
