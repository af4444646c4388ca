"""The experiment with every default filled in and absolute paths, as YAML that reads back to an equal experiment."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from yaml.representer import RepresenterError

from kerasrun.components import Component, Kind, is_written_beside
from kerasrun.errors import ExperimentError
from kerasrun.experiment.schema import Experiment, Section
from kerasrun.models.layers import LayerEntry
from kerasrun.stderr import harmless
from kerasrun.text.yaml_text import read_scalar


def resolved_yaml(experiment: Experiment) -> str:
    """The experiment file that leaves nothing to defaults."""
    return yaml.dump(_escaped(as_plain(experiment)), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def chosen_yaml(experiment: Experiment) -> str:
    """Return the experiment, defaults left out."""
    return yaml.dump(_chosen(experiment), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _chosen(section: Section | Kind) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if value == field.get_default(call_default_factory=True, validated_data={}):
            continue
        if isinstance(value, Kind) and not is_written_beside(type(value)):
            found[name] = {value.kind: _chosen(value)}
        else:
            found[name] = _chosen(value) if isinstance(value, Section | Kind) else _plain(value)
    return found


def flow_yaml(value: Any) -> str:
    """A value on one line, as it may stand behind a key, also between braces."""
    text = yaml.dump({"key": _escaped(value)}, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=10**6)
    return str(text.strip().removeprefix("{key: ").removesuffix("}"))


def written(mapping: Mapping[str, Any]) -> str:
    """An experiment that a program has as a mapping, as the text of a file; nothing in it names a variable.

    Raises:
        ExperimentError: if it holds itself, is nested hundreds deep, or has a value that no file can have.
    """
    with _explained():
        plain = _escaped(_plain(mapping))
        return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def settings(values: Mapping[str, Any]) -> list[str]:
    """Values by key paths, each as it may stand after `--set`.

    Raises:
        ExperimentError: as `written`.
    """
    with _explained():
        return [f"{key}={flow_yaml(_plain(value))}" for key, value in values.items()]


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise ExperimentError("a mapping holds itself, or is nested too deep for an experiment") from None
    except (ValueError, RepresenterError) as error:
        raise ExperimentError(f"no experiment can have this value: {': '.join(map(str, error.args))}") from error


def as_plain(experiment: Experiment) -> dict[str, Any]:
    """The experiment as mappings, lists and scalars, in the form in which a file would say it."""
    plain = {name: _plain(getattr(experiment, name)) for name in type(experiment).model_fields}
    if experiment.stages:
        del plain["fit"]["epochs"]  # follows from the stages, of which the last may be changed
    return plain


def _escaped(value: Any) -> Any:
    """Return plain values in which no text names an environment variable; keys do not anyway."""
    match value:
        case dict():
            return {key: _escaped(item) for key, item in value.items()}
        case list():
            return [_escaped(item) for item in value]
        case str():
            return value.replace("${", "$${")
    return value


def _plain(value: Any) -> Any:
    match value:
        case Kind():
            arguments = {name: _plain(getattr(value, name)) for name in type(value).model_fields}
            return arguments if is_written_beside(type(value)) else {value.kind: arguments}
        case Section():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case LayerEntry():
            return _plain(Component(value.component.name, value.arguments))
        case Component():
            name = str(value.name)
            return {name: _plain(value.arguments)} if value.arguments else name
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Path():
            return str(value)
        case str():
            return str(value)  # text from the command line is written like any other
    return value.tolist() if hasattr(value, "tolist") else value  # as a program may have of NumPy


_TAGS = {type(None): "null", bool: "bool", int: "int", float: "float"}


class _Dumper(yaml.SafeDumper):
    """Quotes text that our reader, or another program's, would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0] and not isinstance(read_scalar(value), str):
            return f"tag:yaml.org,2002:{_TAGS[type(read_scalar(value))]}"
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


def _number(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    special = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}
    return dumper.represent_scalar("tag:yaml.org,2002:float", special.get(repr(value), repr(value)))


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    # Rare line breaks are lost in any style but this one, and what a terminal is not shown means the same escaped here.
    style = '"' if "\ufeff" in value or harmless(value) != value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _list(dumper: _Dumper, value: list[Any]) -> yaml.SequenceNode:
    scalars = all(not isinstance(item, list | dict) for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=scalars)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)
_Dumper.add_representer(list, _list)
