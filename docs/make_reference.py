"""Fill the generated parts of the documentation from the code: `make docs`, or `python docs/make_reference.py`.

A page is Markdown. What the code decides is between `<!-- made: name -->` and `<!-- end -->`; edit everything else in
the page itself. A test makes all parts in memory and compares. Neither TensorFlow nor Keras is imported.
"""

import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from kerasrun.cli import app
from kerasrun.components import Component, Keras, is_written_beside, kinds
from kerasrun.errors import ExperimentError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.load import parse
from kerasrun.experiment.meanings import meaning
from kerasrun.experiment.refused import refusal
from kerasrun.experiment.schema import Experiment, Parameter, Section, Sweep
from kerasrun.experiment.units import Duration, Memory
from kerasrun.exports.base import formats
from kerasrun.keras_catalogue import FAMILIES, names
from kerasrun.models._keras_applications import application, application_names
from kerasrun.models.applications import OWN_MEANINGS, FineTuned
from kerasrun.models.base import Network
from kerasrun.runs.environment import VARIABLES
from kerasrun.sources.base import Source
from kerasrun.trackers.base import NAMES, tracker
from kerasrun.training.resuming.compatibility import FIELDS

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "configs" / "lenet_directory.yaml"
MISTAKES = (
    ("model: LeNet", "model: LeNett"),
    ("batch_size: 32", "batch_size: many"),
    ("monitor: val_loss", "monitor: val_los"),
)
"""What is changed in the example for the README's error message."""

Parts = Mapping[str, Callable[[], str]]


def main() -> None:
    """Write every page whose text has changed."""
    for path, text in pages().items():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


def pages() -> dict[Path, str]:
    """Return every page that has generated parts, with those parts current."""
    parts: Mapping[str, Parts] = {
        "README.md": {"example": _example, "mistakes": _mistakes},
        "docs/commands.md": _commands(),
        "docs/exact-resume.md": {"compared": _compared, "variables": _variables},
        "docs/experiment.md": {
            "keys": _keys,
            "kinds of data": lambda: _family("kerasrun.sources", "data"),
            "kinds of model": lambda: _family("kerasrun.models", "model"),
            "keys of keras.applications": lambda: _fields_table(FineTuned),
            "own keys of networks": _own_keys,
            "networks of keras.applications": _networks,
            "ImageDataGenerator": _image_data_generator,
            "callbacks": _callbacks,
            "refused names": _refused_names,
        },
        "docs/export.md": {"formats": _formats},
        "docs/tracking.md": {"trackers": _trackers},
        "docs/sweep.md": {"sweep": lambda: _fields_table(Sweep), "parameter": lambda: _fields_table(Parameter)},
    }
    return {ROOT / page: with_made_parts(ROOT / page, of_page) for page, of_page in parts.items()}


def with_made_parts(path: Path, parts: Parts) -> str:
    """Return a page with its generated parts current; it must have these parts in this order, and no others."""
    text = path.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- made: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
    found = [match[2] for match in marked.finditer(text)]
    assert found == list(parts), f"{path.name} must have these parts in this order: {', '.join(parts)}"
    return marked.sub(lambda match: f"{match[1]}\n{parts[match[2]]().strip()}\n\n{match[3]}", text)


# README.md and docs/exact-resume.md


def _example() -> str:
    return f"```yaml\n{EXAMPLE.read_text(encoding='utf-8').rstrip()}\n```"


def _mistakes() -> str:
    """Return what the command line prints for the example with the mistakes in it."""
    content = EXAMPLE.read_text(encoding="utf-8")
    for right, wrong in MISTAKES:
        assert right in content, f"{EXAMPLE.name} has no {right!r} to make a mistake in"
        content = content.replace(right, wrong, 1)
    try:
        parse(content, "lenet.yaml")
    except ExperimentError as error:
        edits = "; ".join(f"s/{right}/{wrong}/" for right, wrong in MISTAKES)
        made = f"$ sed '{edits}' {EXAMPLE.relative_to(ROOT)} > lenet.yaml"
        return f"```console\n{made}\n$ kerasrun validate lenet.yaml\n{error}\n```"
    raise AssertionError("the mistakes were not noticed")


def _compared() -> str:
    return _table(["field", "a difference", "why"], [[field.name, field.verdict, field.why] for field in FIELDS])


def _variables() -> str:
    return ", ".join(f"`{name}`" for name in VARIABLES)


# docs/export.md


def _formats() -> str:
    rows = [
        [
            f"`{name}`",
            inspect.cleandoc(one.__doc__ or ""),
            f"`pip install 'kerasrun[{name}]'`" if one.packages else "",
            "float32 alone" if one.only_float32 else "any precision",
            f"{one.tolerance:.0e}".replace("e-0", "e-") if one.tolerance else "equal bits",
        ]
        for name, one in formats().items()
    ]
    return _table(["`--format`", "file", "needs", "holds", "allowed"], rows)


# docs/tracking.md


def _trackers() -> str:
    rows = [
        [
            f"`{name}`",
            " ".join(inspect.cleandoc(tracker(name).__doc__ or "").split()),
            f"`pip install 'kerasrun[{name}]'`" if tracker(name).packages else "",
        ]
        for name in NAMES
    ]
    return _table(["`track`", "what it is", "needs"], rows)


# docs/commands.md


def _commands() -> Parts:
    group: Any = typer.main.get_command(app)
    commands = {f"kerasrun {name}": _command(f"kerasrun {name}", one) for name, one in group.commands.items()}
    return {**commands, "options": lambda: _parameters(group)}


def _command(name: str, command: Any) -> Callable[[], str]:
    def make() -> str:
        help_text, _, example = inspect.cleandoc(command.help).partition("Example: ")
        arguments = [one.metavar for one in command.params if one.param_type_name == "argument"]
        usage = f"`{' '.join([name, *arguments, '[OPTIONS]'])}`"
        return _joined(help_text, f"```console\n$ {example.strip()}\n```", usage, _parameters(command))

    return make


def _parameters(command: Any) -> str:
    return _table(
        ["argument or option", "meaning", "default"],
        [[f"`{_spelling(one)}`", one.help, _option_default(one)] for one in command.params],
    )


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return ", ".join([*sorted(parameter.opts, key=len), *parameter.secondary_opts]) + value


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.secondary_opts and parameter.default:
        return f"`{parameter.opts[0]}`"
    return "" if parameter.default in (None, False) else f"`{parameter.default}`"


# docs/experiment.md


def _keys() -> str:
    parts = ["### At the top", _fields_table(Experiment)]
    for name, field in Experiment.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            parts += [f"### `{name}`", inspect.cleandoc(section.__doc__ or ""), _fields_table(section)]
    return _joined(*parts)


def _family(package: str, section: str) -> str:
    parts = []
    for name, kind in kinds(package).items():
        if not issubclass(kind, FineTuned):
            form = f"`{section}: {{{name}: {'[…]' if is_written_beside(kind) else '{…}'}}}`"
            parts += [f"### `{name}`", inspect.cleandoc(kind.__doc__ or ""), f"{form}:", _fields_table(kind)]
    return _joined(*parts)


def _own_keys() -> str:
    return _table(["key", "meaning"], [[f"`{name}`", meaning] for name, meaning in OWN_MEANINGS.items()])


def _networks() -> str:
    pixels = {
        "tf": "to [-1, 1]",
        "caffe": "BGR, minus ImageNet's mean colour",
        "torch": "to [0, 1], minus ImageNet's mean colour, divided by its deviation",
        None: "by layers of the network",
    }
    rows = [
        [f"`{one.name}`", str(one.least), pixels[one.preprocessing], ", ".join(f"`{own.name}`" for own in one.own)]
        for one in map(application, application_names())
    ]
    return _table(["network", "least height and width", "preprocessing", "own keys"], rows)


def _image_data_generator() -> str:
    form = "`augmentation: {ImageDataGenerator: {…}}`:"
    return _joined(inspect.cleandoc(ImageDataGenerator.__doc__ or ""), form, _fields_table(ImageDataGenerator))


def _callbacks() -> str:
    return ", ".join(f"`{name}`" for name in names("callbacks") if refusal("callbacks", name) is None)


def _refused_names() -> str:
    rows = [
        [f"`{name}`", f"`{family}`", reason]
        for family in FAMILIES
        for name in names(family)
        if (reason := refusal(family, name)) is not None
    ]
    return _table(["name", "of `keras.…`", "reason"], rows)


def _fields_table(model: type[BaseModel]) -> str:
    # The keys of a class come before those that it inherits.
    declared = dict.fromkeys(name for base in model.__mro__ for name in vars(base).get("__annotations__", {}))
    fields = [(name, model.model_fields[name]) for name in declared if name in model.model_fields]
    return _table(
        ["key", "value", "default", "meaning"],
        [[f"`{name}`", value_in_words(field), _default(field), meaning(model, name)] for name, field in fields],
    )


def value_in_words(field: FieldInfo) -> str:
    """Return what a key takes: `whole number, at least 1`, `list of 2: whole number, at least 1; or null`."""
    if get_args(Memory)[1] in field.metadata:
        return "share from 0 to 1, or `500MB`, `2GB`, `1.5GiB`"
    return _in_words(field.annotation, tuple(field.metadata))


def _in_words(annotation: Any, limits: Iterable[Any] = ()) -> str:
    if keras := next((one for one in limits if isinstance(one, Keras)), None):
        return f"component of `{FAMILIES[keras.family]}`"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation == Duration:
        return "number of seconds, or `45s`, `90m`, `3h`, `2h30m`, `1d`"
    if origin is Annotated:
        inner, *extra = arguments
        return _in_words(inner, [one for item in extra for one in (getattr(item, "metadata", None) or [item])])
    if origin in (Union, types.UnionType):
        return "; or ".join(_in_words(one, () if one is type(None) else limits) for one in arguments)
    if origin is Literal:
        *front, last = (f"`{value}`" for value in arguments)
        return f"{', '.join(front)} or {last}" if front else last
    if origin is Mapping and arguments[1] is Parameter:
        return "by key path: keys, see below"
    if origin is Mapping:
        what = "weights" if float in get_args(arguments[1]) else "those"
        return f"{what} by name: {{{_in_words(arguments[0])}: {_in_words(arguments[1])}}}"
    bounds = [words for limit in limits if (words := _bound(limit, is_list=origin is tuple))]
    return ", ".join([_list(arguments) if origin is tuple else _plain_type(annotation), *bounds])


def _list(arguments: tuple[Any, ...]) -> str:
    if arguments[-1] is Ellipsis:
        return f"list of: {_in_words(arguments[0])}"
    return f"list of {len(arguments)}: {_in_words(arguments[0])}"


_WORDS: Mapping[Any, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "`true` or `false`",
    type(None): "`null`",
    Any: "any value",
    Component: "name, or name with its arguments",
    Path: "path",
    Source: "one of the kinds of `data` below",
    Network: "one of the kinds of `model` below",
    ImageDataGenerator: "`ImageDataGenerator` with its arguments: see below",
}


def _plain_type(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "keys: see below"
    return _WORDS[annotation]


def _bound(limit: Any, *, is_list: bool) -> str:
    match limit:
        case annotated_types.Ge(ge=value):
            return f"at least {value}"
        case annotated_types.Gt(gt=value):
            return f"above {value}"
        case annotated_types.Le(le=value):
            return f"at most {value}"
        case annotated_types.Lt(lt=value):
            return f"below {value}"
        case annotated_types.MinLen(min_length=value):
            return f"at least {value} of them" if is_list else ""
    return ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, Section) or value == "":
        return ""
    return f"`{_as_yaml(value)}`"


def _as_yaml(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case Component():
            return value.name
        case tuple():
            return f"[{', '.join(map(_as_yaml, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


# Markdown


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _joined(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts)


if __name__ == "__main__":
    main()
