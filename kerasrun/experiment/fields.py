"""Values → the classes of `schema.py` and of the kinds of data and model; pydantic's errors in our words."""

import functools
import re
from collections.abc import Hashable, Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from kerasrun.components import Kind, as_component, family_of, is_written_beside, kinds
from kerasrun.experiment import where
from kerasrun.experiment.files import BASE
from kerasrun.experiment.image_data_generator import NONE, NOT_TAKEN, ImageDataGenerator
from kerasrun.experiment.meanings import meaning
from kerasrun.experiment.schema import Experiment, Section
from kerasrun.sources.base import Source
from kerasrun.text.document import Document
from kerasrun.text.problems import MOST, Problem, closest, listed, shown
from kerasrun.text.yaml_text import Path, plain, walk

_FAMILIES = {
    name: family_of(field.annotation)
    for name, field in Experiment.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Kind)
}
"""The sections that hold one kind of a family of ours, with the family's package."""
_LIKE_A_NUMBER = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?")
_BOUNDS = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}
_MAY_BE_EMPTY = {name for name, field in Experiment.model_fields.items() if isinstance(field.default, Section | tuple)}
"""The sections and lists of which an empty one is the default."""


def read_experiment(
    document: Document, folder: FilePath, stem: str, problems: list[Problem]
) -> tuple[Experiment | None, Source | None]:
    """Return the experiment, or None after adding to `problems` everything that is wrong with its keys and values.

    Its source is returned as well, as far as that could be read.
    """
    before = len(problems)
    written = plain(document.root).items()
    values = {key: value for key, value in written if value is not None or key not in _MAY_BE_EMPTY}
    values.setdefault("name", stem)
    source = None
    for section, package in _FAMILIES.items():
        if values.get(section) is None:
            what = "the kind of data" if section == "data" else "a network"
            problems.append(
                document.problem((section,), f"'{section}' is missing", f"expected {what}: {_kinds(package)}")
            )
            continue
        before_kind = len(problems)
        kind = _read_kind(document, section, values[section], folder, problems)
        source = kind if isinstance(kind, Source) else source
        values[section] = kind if len(problems) == before_kind else None
    values = _with_epochs_of_stages(values, document, problems)
    if isinstance(values.get("augmentation"), str | dict):
        values["augmentation"] = _read_generator(document, values["augmentation"], folder, problems)
    broken = {section for section in (*_FAMILIES, "augmentation") if values.get(section) is None}
    experiment, found = _Reader(document, (), Experiment, folder).read(values)
    problems += [problem for problem in found if problem.key_path not in broken]
    return experiment if len(problems) == before else None, source


def _with_epochs_of_stages(values: dict[str, Any], document: Document, problems: list[Problem]) -> dict[str, Any]:
    """Return the sections with the sum of the stages' epochs as `fit.epochs`, which must not be another number."""
    stages, fit = values.get("stages"), values.get("fit", {})
    epochs = [stage.get("epochs") for stage in stages if isinstance(stage, dict)] if isinstance(stages, list) else []
    known = [number for number in epochs if isinstance(number, int)]
    if not known or len(known) < len(epochs) or not isinstance(fit, dict):
        return values
    total = sum(known)
    if fit.get("epochs", total) != total:
        received = f"received {fit['epochs']}, but the stages have {total} epochs in all"
        problems.append(document.problem(("fit", "epochs"), received, "expected it in the stages alone"))
    return {**values, "fit": {**fit, "epochs": total}}


def _kinds(package: str) -> str:
    return listed(kinds(package).in_words)


def _read_kind(document: Document, section: str, value: Any, folder: FilePath, problems: list[Problem]) -> Kind | None:
    """Return the kind in a section as far as it could be read, after adding to `problems` what is wrong with it."""
    known = kinds(_FAMILIES[section])
    path: Path = (section,)
    name, arguments = _name_and_arguments(value)
    if isinstance(value, dict):
        # Such a kind may have more keys beside its own.
        name = next((key for key in value if key in known and is_written_beside(known[key])), name)
    if name is None or name not in known:
        what = "kind of data" if section == "data" else "network"
        received = shown(value) if name is None else f"unknown {what} '{name}'"
        suggestion = closest(where.usual_kind(name), known) if name is not None else None
        dataset = next((kind for kind in known if name in _names_of(known[kind])), None)
        keys = [str(key) for key in value] if isinstance(value, dict) else [name] if name is not None else []
        having = where.kinds_with(_FAMILIES[section], keys) if keys else []
        expected = f"expected {_kinds(_FAMILIES[section])}, or one of these with its keys: {{name: {{key: value}}}}"
        if dataset:
            expected, suggestion = f"expected {{{dataset}: {{name: {name}}}}}", None
        elif isinstance(value, list) and section == "model":
            expected = "expected them as layers: {layers: [...]}"
        elif having and (name is None or where.usual_kind(name) == name):
            quoted = listed([f"'{key}'" for key in keys], "and")
            received, suggestion = f"the key{'s' if len(keys) > 1 else ''} {quoted} without the kind", None
            written = ", ".join(f"{key}: …" for key in keys)
            expected = f"expected {listed([f'{{{kind}: {{{written}}}}}' for kind in having])}"
        elif isinstance(value, dict) and (several := [key for key in value if key in known]):
            other = next(key for key in value if key != several[0])
            received = f"'{other}' beside '{several[0]}'"
            expected = (
                where.not_needed(other) or f"expected the keys of '{several[0]}' below it: indent '{other}' further"
            )
        place = document.place(path) if name is None or isinstance(value, str) else document.key_place((*path, name))
        problems.append(Problem(place, section, received, expected, suggestion))
        return None
    if isinstance(value, dict) and is_written_beside(known[name]):
        arguments = value
    elif not isinstance(value, str):
        path = (section, name)
    if not isinstance(arguments, Mapping):
        problems.append(document.problem(path, f"{shown(arguments)} for '{name}'", "expected its keys: {key: value}"))
        return None
    kind, found = _Reader(document, path, known[name], folder).read(dict(arguments))
    problems += found
    return kind


def _names_of(kind: type[BaseModel]) -> tuple[Any, ...]:
    """Return what the key `name` of a kind may say, if it has one with choices."""
    field = kind.model_fields.get("name")
    return get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()


def _read_generator(
    document: Document, value: Any, folder: FilePath, problems: list[Problem]
) -> ImageDataGenerator | None:
    """Return `augmentation` where it is not a list; None after reporting what is wrong with it."""
    section, kind = ("augmentation",), ImageDataGenerator.kind
    name, arguments = _name_and_arguments(value)
    if name != kind:
        received = shown(value) if name is None else f"'{name}' without a dash"
        expected = (
            f"expected a list of layers: [{{RandomFlip: {{mode: horizontal}}}}], or {{{kind}: {{argument: value}}}}"
        )
        suggestion = None if name is None else closest(name, [kind])
        problems.append(document.problem(section, received, expected, suggestion))
        return None
    path = (*section, kind)
    if not isinstance(arguments, Mapping):
        expected = "expected its arguments: {argument: value}"
        problems.append(document.problem(path, f"{shown(arguments)} for '{kind}'", expected))
        return None
    for key, (unchanging, expected) in NOT_TAKEN.items():
        if key in arguments and arguments[key] not in unchanging:
            problems.append(document.key_problem((*path, key), f"'{key}' is not an argument here", expected))
    taken = {key: None if value == NONE else value for key, value in arguments.items() if key not in NOT_TAKEN}
    generator, found = _Reader(document, path, ImageDataGenerator, folder).read(taken)
    problems += found
    return None if found else generator


def _name_and_arguments(value: Any) -> tuple[str | None, Any]:
    if isinstance(value, dict) and len(value) == 1:
        ((name, arguments),) = value.items()
        return name, arguments if arguments is not None else {}
    try:
        component = as_component(value)
    except ValueError:
        return None, None
    return component.name, component.arguments


Model = TypeVar("Model", bound=BaseModel)


class _Reader(Generic[Model]):
    """Validate the values at `path` as `model`."""

    def __init__(self, document: Document, path: Path, model: type[Model], folder: FilePath) -> None:
        self.document, self.path, self.model, self.folder = document, path, model, folder

    def read(self, values: dict[str, Any]) -> tuple[Model, list[Problem]]:
        """Return the model and what is wrong; a value that could not be read has its default, or is missing."""
        problems = self.prepare(values)
        try:
            return self.model.model_validate(values, context={"folder": self.folder}), problems
        except ValidationError as error:
            details = error.errors(include_url=False)
            wrong = {detail["loc"][0] for detail in details if detail["loc"]}
            rest = self.model.model_construct(**{key: value for key, value in values.items() if key not in wrong})
            return rest, problems + self.problems(details)

    def prepare(self, values: dict[str, Any]) -> list[Problem]:
        """Put right what YAML and pydantic get wrong: `0.10` is text where text is wanted, and `true` is never 1."""
        problems = []
        node = self.document.node(self.path)
        for path, scalar in walk(node, self.path) if node is not None else ():
            if scalar.written is None or not isinstance(scalar.value, bool | int | float | str):
                continue
            wanted = self.types_at(path[len(self.path) :])
            numbers = wanted & {int, float}
            if isinstance(scalar.value, str):
                # Pydantic would read 08 as 8, and 1_6 as 16.
                if numbers and str not in wanted and _LIKE_A_NUMBER.fullmatch(scalar.value):
                    expected = "expected a number without leading zeros, and '_' only between thousands"
                    problems.append(self.document.problem(path, f"received {scalar.value}", expected))
                continue
            if str in wanted and type(scalar.value) not in wanted and not numbers:
                _put(values, path[len(self.path) :], scalar.written)
            elif isinstance(scalar.value, bool) and numbers and bool not in wanted:
                problems.append(self.document.problem(path, f"received {shown(scalar.value)}", "expected a number"))
        return problems

    def problems(self, details: list[ErrorDetails]) -> list[Problem]:
        """Return one problem for each place: the errors of a union's members are one."""
        at: dict[Path, list[ErrorDetails]] = {}
        for detail in details:
            at.setdefault(self.written_path(detail["loc"]), []).append(detail)
        # What is wrong within a list or a mapping says more than that it is not another member of the union.
        within = {path[:length] for path in at for length in range(len(path))}
        order = {path: self.document.key_place(path) for path in at if path not in within}
        wrong = sorted(order, key=lambda path: (order[path].text.order, order[path].line, order[path].column))
        # Of very many only the first are told, so that nothing is looked up for the others.
        told = [self.problem(path, at[path]) for path in wrong[: 2 * MOST]]
        return told + [self.document.key_problem(path, "is not known or not right") for path in wrong[2 * MOST :]]

    def written_path(self, loc: Path) -> Path:
        """Return `loc` without the names that pydantic adds for the members of a union."""
        path = self.path
        for index, part in enumerate(loc):
            known = self.document.node((*path, part)) is not None
            missing = index == len(loc) - 1 and part in getattr(self.at(loc[:index])[0], "model_fields", {})
            if known or missing:
                path = (*path, part)
        return path

    def problem(self, path: Path, details: list[ErrorDetails]) -> Problem:
        detail = details[0]
        key = path[-1] if path else ""
        if detail["type"] == "missing" and detail["loc"][-1] == key and key in self.at(detail["loc"])[1].model_fields:
            # What the first sentence of the field's documentation says.
            words = _lower(meaning(self.at(detail["loc"])[1], str(key)).split(".")[0])
            return self.document.problem(path, f"'{key}' is missing", f"expected {words}" if words else "")
        if detail["type"] == "extra_forbidden":
            section = self.at(detail["loc"][:-1])[0]
            fields = list(section.model_fields) if section else []
            fields = [BASE, *fields] if section is Experiment else fields
            expected = f"expected {listed(fields)}" if fields else "expected no keys"
            usual = where.usual_name(str(key))
            family = str(path[0]) if path[0] in _FAMILIES else None
            if usual == "path" and "train" in fields:  # tables name a file for each split
                usual = "train"
            suggestion = usual if usual in fields else closest(str(key), fields)
            elsewhere = where.not_needed(str(key)) or where.belongs(str(key), self.document, family)
            if str(key).endswith(")"):
                elsewhere, usual = "expected several numbers in brackets: [64, 64]", ""
            if ":" in str(key):
                elsewhere = f"expected a blank behind the ':': {str(key).replace(':', ': ', 1)}"
            if elsewhere and usual not in fields:
                expected, suggestion = elsewhere, None
            return self.document.key_problem(path, f"unknown key '{key}'", expected, suggestion)
        expected = listed(dict.fromkeys(self.expected(one) for one in details))
        node = self.document.node(path)
        value = plain(node) if node is not None else detail["input"]
        suggestion = None
        if node is not None and isinstance(value, str):
            expected += ", without the comma at the end" if value.endswith(",") else ""
            choices = [choice for one in details for choice in _choices(one)]
            suggestion = closest(where.usual_value(value), choices)
            expected = expected if choices else expected.replace("[value, value]", f"[{value}]")
        return self.document.problem(path, f"received {shown(value)}", f"expected {expected}", suggestion)

    def expected(self, detail: ErrorDetails) -> str:
        match detail["type"]:
            case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
                return f"a whole number{self.range(detail)}"
            case "float_type" | "float_parsing" | "finite_number":
                return f"a number{self.range(detail)}"
            case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
                return f"a {'' if float in self.types_at(detail['loc']) else 'whole '}number{self.range(detail)}"
            case "bool_type" | "bool_parsing":
                return "true or false"
            case "string_type":
                return "text"
            case "literal_error":
                return listed(_choices(detail))
            case "list_type" | "tuple_type":
                return "a list: [value, value]"
            case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
                return "keys with values: {key: value}"
            case "missing":
                return "a list with more values"
            case "path_type":
                return "a path"
            case "none_required":
                return "null"
            case "too_short" | "too_long":
                bounds = detail.get("ctx", {})
                number = bounds.get("min_length", bounds.get("max_length"))
                return f"at {'least' if 'min_length' in bounds else 'most'} {number} value{'' if number == 1 else 's'}"
            case "value_error":
                return str(detail.get("ctx", {}).get("error", detail["msg"])).removeprefix("expected ")
        return _lower(detail["msg"].removeprefix("Input should be ").removeprefix("Value error, "))

    def types_at(self, loc: Path) -> set[object]:
        """Return every type in the annotation of the field at `loc`, or of the field whose list or mapping holds it."""
        field = self.at(loc)[2]
        return _types(field.annotation) if field else set()

    def range(self, detail: ErrorDetails) -> str:
        """Return every bound of the field, not only the one that was crossed: ` above 0 and below 1`."""
        field = self.at(detail["loc"])[2]
        marks = field.metadata if field else []
        limits = [(key, getattr(mark, key)) for mark in marks for key in _BOUNDS if hasattr(mark, key)]
        limits = limits or [(key, value) for key, value in detail.get("ctx", {}).items() if key in _BOUNDS]
        return f" {' and '.join(f'{_BOUNDS[key]} {value}' for key, value in limits)}" if limits else ""

    def at(self, loc: Path) -> tuple[type[BaseModel] | None, type[BaseModel], FieldInfo | None]:
        """Return what the schema has at `loc`: the class of a section, and the last field with the class that has it.

        Below a field that does not hold a section, `loc` leads to the values of its list or mapping.
        """
        section: type[BaseModel] | None = self.model
        owner: type[BaseModel] = self.model
        field = None
        for part in loc:
            if isinstance(part, int):  # a place in a list
                continue
            if section is None or part not in section.model_fields:
                return None, owner, field
            owner, field = section, section.model_fields[part]
            found = (one for one in _types(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel))
            section = next(found, None)
        return section, owner, field


def _put(values: Any, path: Path, value: str) -> None:
    for part in path[:-1]:
        values = values[part]
        if values is None:  # a section that could not be read
            return
    values[path[-1]] = value


def _types(annotation: Any) -> set[object]:
    """Return every type in an annotation, without keys of mappings, choices of a `Literal` and marks."""
    return _types_in(annotation)


@functools.cache
def _types_in(annotation: Hashable) -> set[object]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return {type(choice) for choice in arguments}
    inner = arguments[:1] if origin is Annotated else arguments[1:] if origin is Mapping else arguments
    return {annotation, *(one for argument in inner for one in _types(argument))}


def _choices(detail: ErrorDetails) -> list[str]:
    """Return the values of a `Literal`, out of pydantic's `'a', 'b' or 'c'`."""
    if detail["type"] != "literal_error":
        return []
    expected = str(detail.get("ctx", {}).get("expected", ""))
    return [choice.strip().strip("'") for part in expected.split(" or ") for choice in part.split(",")]


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
