"""Values → the classes of `schema.py` and of the kinds of data and model; pydantic's errors in our words."""

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from kerasrun.components import Kind, as_component, family_of, is_written_beside, kinds
from kerasrun.experiment import where
from kerasrun.experiment.image_data_generator import NONE, NOT_TAKEN, ImageDataGenerator
from kerasrun.experiment.meanings import meaning
from kerasrun.experiment.schema import Experiment, Section
from kerasrun.sources.base import Source
from kerasrun.text.document import Document
from kerasrun.text.problems import Problem, closest, dotted, listed, shown
from kerasrun.text.yaml_text import Node, Path, plain, walk

_FAMILIES = {
    name: family_of(field.annotation)
    for name, field in Experiment.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Kind)
}
"""The sections that hold one kind of a family of ours, with the family's package."""
_LIKE_A_NUMBER = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?")
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
        kind, is_whole = _read_kind(document, section, values[section], folder, problems)
        source = kind if isinstance(kind, Source) else source
        values[section] = kind if is_whole else None
    values = _with_epochs_of_stages(values, document, problems)
    if isinstance(values.get("augmentation"), str | dict):
        values["augmentation"] = _read_generator(document, values["augmentation"], folder, problems)
    broken = {section for section in (*_FAMILIES, "augmentation") if values.get(section) is None}
    try:
        experiment = _Reader(document, (), Experiment, {"folder": folder}).read(values)
    except _BrokenError as error:
        problems += [problem for problem in error.problems if problem.key_path not in broken]
        return None, source
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


def _read_kind(
    document: Document, section: str, value: Any, folder: FilePath, problems: list[Problem]
) -> tuple[Kind | None, bool]:
    """Return the kind in a section as far as it could be read, and whether all of it could be."""
    known = kinds(_FAMILIES[section])
    path: Path = (section,)
    name, arguments = _name_and_arguments(value)
    if isinstance(value, dict):
        # Such a kind may have more keys beside its own.
        name = next((key for key in value if key in known and is_written_beside(known[key])), name)
    if name not in known:
        received = (
            shown(value) if name is None else f"unknown {'kind of data' if section == 'data' else 'network'} '{name}'"
        )
        suggestion = closest(name, known) if name is not None else None
        having = where.kinds_with(_FAMILIES[section], name) if name is not None else []
        expected = f"expected {_kinds(_FAMILIES[section])}, or one of these with its keys: {{name: {{key: value}}}}"
        if having:
            received, suggestion = f"the key '{name}' without its kind", None
            expected = f"expected {listed([f'{{{kind}: {{{name}: …}}}}' for kind in having])}"
        elif isinstance(value, dict) and (several := [key for key in value if key in known]):
            other = next(key for key in value if key != several[0])
            received = f"'{other}' beside '{several[0]}'"
            expected = (
                where.not_needed(other) or f"expected the keys of '{several[0]}' below it: indent '{other}' further"
            )
        place = document.place(path) if name is None or isinstance(value, str) else document.key_place((*path, name))
        problems.append(Problem(place, section, received, expected, suggestion))
        return None, False
    assert name is not None
    if not isinstance(value, str):
        path = (section, name)
    if isinstance(value, dict) and is_written_beside(known[name]):
        arguments, path = value, (section,)
    if not isinstance(arguments, Mapping):
        problems.append(document.problem(path, f"{shown(arguments)} for '{name}'", "expected its keys: {key: value}"))
        return None, False
    try:
        return _Reader(document, path, known[name], {"folder": folder}).read(dict(arguments)), True
    except _BrokenError as error:
        problems += error.problems
        return error.rest, False


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
            place = document.key_place((*path, key))
            problems.append(Problem(place, dotted((*path, key)), f"'{key}' is not an argument here", expected))
    taken = {key: None if value == NONE else value for key, value in arguments.items() if key not in NOT_TAKEN}
    try:
        return _Reader(document, path, ImageDataGenerator, {"folder": folder}).read(taken)
    except _BrokenError as error:
        problems += error.problems
        return None


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


class _BrokenError(Exception):
    def __init__(self, problems: list[Problem], rest: Any) -> None:
        self.problems = problems
        self.rest = rest
        """The values that could be read, with defaults for the others."""


class _Reader(Generic[Model]):
    """Validate the values at `path` as `model`."""

    def __init__(self, document: Document, path: Path, model: type[Model], context: Mapping[str, Any]) -> None:
        self.document, self.path, self.model, self.context = document, path, model, context

    def read(self, values: dict[str, Any]) -> Model:
        problems = self.prepare(values)
        try:
            found = self.model.model_validate(values, context=dict(self.context))
        except ValidationError as error:
            details = error.errors(include_url=False)
            wrong = {detail["loc"][0] for detail in details if detail["loc"]}
            rest = self.model.model_construct(**{key: value for key, value in values.items() if key not in wrong})
            raise _BrokenError(problems + self.problems(details), rest) from None
        if problems:
            raise _BrokenError(problems, found)
        return found

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
        return [self.problem(path, errors) for path, errors in at.items() if path not in within]

    def written_path(self, loc: tuple[int | str, ...]) -> Path:
        """Return `loc` without the names that pydantic adds for the members of a union."""
        path = self.path
        for index, part in enumerate(loc):
            known = self.document.node((*path, part)) is not None
            missing = index == len(loc) - 1 and part in getattr(self.model_at(loc[:index]), "model_fields", {})
            if known or missing:
                path = (*path, part)
        return path

    def problem(self, path: Path, details: list[ErrorDetails]) -> Problem:
        detail = details[0]
        key = path[-1] if path else ""
        if detail["type"] == "missing":
            return self.document.problem(path, f"'{key}' is missing", self.meaning(detail["loc"]))
        if detail["type"] == "extra_forbidden":
            model = self.model_at(detail["loc"][:-1])
            fields = list(model.model_fields) if model else []
            expected = f"expected {listed(fields)}" if fields else "expected no keys"
            place = self.document.key_place(path)
            usual = where.usual_name(str(key))
            suggestion = usual if usual in fields else closest(str(key), fields)
            elsewhere = where.not_needed(str(key)) or where.belongs(str(key), self.document)
            if elsewhere and usual not in fields:
                expected, suggestion = elsewhere, None
            return Problem(place, dotted(path), f"unknown key '{key}'", expected, suggestion)
        expected = listed(dict.fromkeys(self.expected(one) for one in details))
        node = self.document.node(path)
        received = shown(plain(node)) if node is not None else shown(detail["input"])
        if node is not None and isinstance(node.value, str) and node.value.endswith(","):
            expected += ", without the comma at the end"
        return self.document.problem(
            path, f"received {received}", f"expected {expected}", self.suggestion(node, details)
        )

    def meaning(self, loc: tuple[int | str, ...]) -> str:
        """Return the first sentence of a field's documentation."""
        owner = self.owner_at(loc)
        words = meaning(*owner) if owner else ""
        return f"expected {_lower(words.split('.')[0])}" if words else ""

    def suggestion(self, node: Node | None, details: list[ErrorDetails]) -> str | None:
        choices = [choice for detail in details for choice in _choices(detail)]
        return closest(node.value, choices) if node is not None and isinstance(node.value, str) else None

    def expected(self, detail: ErrorDetails) -> str:
        match detail["type"]:
            case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
                return f"a whole number{self.range(detail)}"
            case "float_type" | "float_parsing" | "finite_number":
                return f"a number{self.range(detail)}"
            case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
                whole = float not in self.types_at(detail["loc"])
                return f"a {'whole ' if whole else ''}number{self.range(detail)}"
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
            case "path_type":
                return "a path"
            case "none_required":
                return "null"
            case "too_short" | "too_long":
                bounds = detail.get("ctx", {})
                number = bounds.get("min_length", bounds.get("max_length"))
                values = "value" if number == 1 else "values"
                return f"at {'least' if 'min_length' in bounds else 'most'} {number} {values}"
            case "value_error":
                return str(detail.get("ctx", {}).get("error", detail["msg"])).removeprefix("expected ")
        return _lower(detail["msg"].removeprefix("Input should be ").removeprefix("Value error, "))

    def types_at(self, loc: tuple[int | str, ...]) -> set[object]:
        """Return every type in the annotation of the field at `loc`, or of the field whose list or mapping holds it."""
        field = self.field_at(loc)
        return _types(field.annotation) if field else set()

    def field_at(self, loc: tuple[int | str, ...]) -> FieldInfo | None:
        owner = self.owner_at(loc)
        return owner[0].model_fields[owner[1]] if owner else None

    def owner_at(self, loc: tuple[int | str, ...]) -> tuple[type[BaseModel], str] | None:
        """Return the class and the name of the field at `loc`, or of the field whose list or mapping holds it."""
        while len(loc) > 1 and self.model_at(loc[:-1]) is None:
            loc = loc[:-1]
        model = self.model_at(loc[:-1])
        return (model, str(loc[-1])) if model and loc and str(loc[-1]) in model.model_fields else None

    def range(self, detail: ErrorDetails) -> str:
        """Return every bound of the field, not only the one that was crossed: ` above 0 and below 1`."""
        field = self.field_at(detail["loc"])
        bounds = [words for limit in (field.metadata if field else []) if (words := _bound(limit))]
        if not bounds:
            names = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}
            bounds = [f"{names[key]} {value}" for key, value in detail.get("ctx", {}).items() if key in names]
        return f" {' and '.join(bounds)}" if bounds else ""

    def model_at(self, loc: tuple[int | str, ...]) -> type[BaseModel] | None:
        """Return the class of the section at `loc`, or of the sections in a list."""
        model: type[BaseModel] | None = self.model
        for part in loc:
            if isinstance(part, int):  # a place in a list of sections
                continue
            field = model.model_fields.get(str(part)) if model else None
            if field is None:
                return None
            sections = (one for one in _types(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel))
            model = next(sections, None)
        return model


def _put(values: Any, path: Path, value: str) -> None:
    for part in path[:-1]:
        values = values[part]
    values[path[-1]] = value


def _types(annotation: Any) -> set[object]:
    """Return every type in an annotation, without keys of mappings, choices of a `Literal` and marks."""
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


def _bound(limit: object) -> str:
    match limit:
        case annotated_types.Ge(ge=value):
            return f"of at least {value}"
        case annotated_types.Gt(gt=value):
            return f"above {value}"
        case annotated_types.Le(le=value):
            return f"of at most {value}"
        case annotated_types.Lt(lt=value):
            return f"below {value}"
    return ""


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
