"""The JSON Schema of experiment files, by which editors complete, explain and check: `kerasrun schema`.

Pydantic makes it of the classes; the source of the installed Keras says which objects there are, what they take, and
what that means. A value may be written in more ways than a class says: as `load` reads it, all of them are right here.
There are two: where a file names `plugins` or a `base`, names that Keras does not have are right as well.
"""

import functools
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema as core

from kerasrun import plugins
from kerasrun.components import Component, Kind, family_of, is_written_beside, kinds
from kerasrun.experiment.files import BASE
from kerasrun.experiment.image_data_generator import NONE, NOT_TAKEN, ImageDataGenerator
from kerasrun.experiment.keras_checks import (
    ALSO_SEVERAL,
    DTYPE,
    LAYER_KEYS,
    bounds_of,
    choices_of,
    takes_number,
    usable,
)
from kerasrun.experiment.meanings import meaning
from kerasrun.experiment.schedules import DECAY, epoch_arguments
from kerasrun.experiment.schema import ONE_OR_SEVERAL, Experiment, Section
from kerasrun.keras_catalogue import (
    FAMILIES,
    RATES,
    Parameter,
    Signature,
    added,
    canonical,
    family_of_argument,
    signature,
)
from kerasrun.keras_docs import documentation
from kerasrun.models.base import Network
from kerasrun.models.layers import Layers
from kerasrun.sources.base import Source

Schema = dict[str, Any]

_VARIABLE = r"\$\{"
_CALL = r"\)\s*$"
_NUMBER = r"^[-+]?[0-9_.]+([eE][-+]?[0-9]+)?$"
"""Numbers that are text in YAML 1.2, such as `60_000`, or that are quoted."""
_TUPLE = r"^\([-+0-9., eE]*\)$"
_BOOLEAN = r"^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|[yY]([eE][sS])?|[nN][oO]?|[oO][nN]|[oO][fF][fF]|[tTfF01])$"
_KERAS_JSON = "^(class_name|config|module|registered_name|build_config)$"
_NULL: Schema = {"type": "null"}
_TEXT: Schema = {"type": "string"}
_FILLED_IN: Schema = {"type": "string", "pattern": _VARIABLE}
_STRICT, _OPEN = "strict", "open"
_HEAD = {"$schema": "http://json-schema.org/draft-07/schema#", "$comment": "of experiments: kerasrun schema"}
BEGINNING = json.dumps(_HEAD, separators=(",", ":")).rstrip("}")
"""How the text of every such schema begins."""


@functools.cache
def schema_text() -> str:
    """Return the schema as JSON."""
    return json.dumps(json_schema(), ensure_ascii=False, separators=(",", ":")) + "\n"


def json_schema() -> Schema:
    """Return the schema of the files that the installed kerasrun and Keras take."""
    plugins.use(())
    builds_on_others = {"anyOf": [{"required": ["plugins"]}, {"required": [BASE]}]}
    return {
        **_HEAD,
        "if": builds_on_others,
        "then": {"$ref": f"#/$defs/{_OPEN}/{Experiment.__name__}"},
        "else": {"$ref": f"#/$defs/{_STRICT}/{Experiment.__name__}"},
        "$defs": {name: _Definitions(name).made() for name in (_STRICT, _OPEN)},
    }


class _Generator(GenerateJsonSchema):
    """Pydantic's schema of our classes, in which `{"keras": family}` and `{"kinds": package}` stand for ours."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  as pydantic has it

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core.ModelSchema) -> Schema:
        cls: Any = schema["cls"]
        if cls in (Source, Network):
            return {"kinds": family_of(cls)}
        made = super().model_schema(schema)
        made.pop("title")
        for name, field in made.get("properties", {}).items():
            field["description"] = meaning(cls, name)
        return _image_data_generator(made) if cls is ImageDataGenerator else made

    def dataclass_schema(self, schema: core.DataclassSchema) -> Schema:
        if schema["cls"] is not Component:
            return super().dataclass_schema(schema)
        return {"anyOf": [_TEXT, {"type": "object", "minProperties": 1, "maxProperties": 1}]}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Schema:
        del schema, error_info
        return {}  # what only Python can check

    def function_before_schema(self, schema: core.BeforeValidatorFunctionSchema) -> Schema:
        made = super().function_before_schema(schema)
        if schema["function"]["function"] is ONE_OR_SEVERAL.func:
            return {"anyOf": [made["items"], made]}
        return made


def _image_data_generator(arguments: Schema) -> Schema:
    properties = {
        name: {"anyOf": [one, {"const": NONE}], **_told(one)} for name, one in arguments["properties"].items()
    }
    not_taken = {name: {"enum": [*unchanging]} for name, (unchanging, _) in NOT_TAKEN.items()}
    arguments = {**arguments, "properties": properties | not_taken}
    return _named({ImageDataGenerator.kind: {"anyOf": [arguments, _NULL]}}, [ImageDataGenerator.kind])


def _told(schema: Schema) -> Schema:
    return {key: schema[key] for key in ("description", "default") if key in schema}


def _named(values: Mapping[str, Schema], alone: Iterable[str], others: Schema | bool = False) -> Schema:
    """Return a name, or one name with its value.

    Args:
        values: what may be below each name.
        alone: the names that need nothing below them.
        others: what may be below other names; false where there are none.
    """
    names = {"type": "string"} if others is not False else {"enum": [*alone]}
    # Where `maxProperties` says so, the language server completes no key.
    one = {"type": "object", "properties": dict(values), "minProperties": 1, "not": {"minProperties": 2}}
    of_keras = {"type": "object", "required": ["class_name"], "patternProperties": {_KERAS_JSON: {}}}
    return {
        "anyOf": [
            {"anyOf": [{"enum": [*alone]}, names]} if others is not False else names,
            {"type": "string", "pattern": f"{_VARIABLE}|{_CALL}"},
            {**one, "additionalProperties": others},
            {**of_keras, "additionalProperties": False},
        ]
    }


class _Definitions:
    """The definitions of one of the two schemas."""

    def __init__(self, name: str) -> None:
        self.name, self.is_open = name, name == _OPEN
        self.found: dict[str, Schema] = {}

    def made(self) -> dict[str, Schema]:
        """Return every definition by its name."""
        sections = {one.__name__ for one in _subclasses(Section)}
        for name, schema in _of_classes().items():
            section = "model" if name == Layers.__name__ else ""
            made = self.as_written(schema, section, is_top=name == Experiment.__name__)
            self.found[name] = self.section(name, made) if name in sections else made
        graph = self.found[Layers.__name__]["properties"]["layers"]
        del graph["items"]
        graph |= self.of_graph()
        return self.found

    def of_graph(self) -> Schema:
        """Return what the layers of a graph may be: earlier ones, applied again, only where any is called something."""
        is_called = {"type": "object", "required": ["name"]}
        called = [
            {"type": "object", "not": {"additionalProperties": {"not": is_called}}},
            {"type": "string", "pattern": "name *="},
        ]
        again = {"type": "object", "properties": {**_of_graphs(), "name": _TEXT}, "additionalProperties": False}
        self.found["layers-of-graph"] = self.objects("layers", "model", {"anyOf": [again, _NULL]})
        return {
            "if": {"contains": {"anyOf": called}},
            "then": {"items": self.ref("layers-of-graph")},
            "else": {"items": self.component("layers", "model")},
        }

    def section(self, name: str, schema: Schema) -> Schema:
        if name == Experiment.__name__:
            texts = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
            base = {**texts, "description": "The file, or files, on which this one builds: it says what differs."}
            schema["properties"] = {BASE: {"anyOf": [base, _NULL]}, **schema["properties"]}
        if self.is_open:
            return _erasable({**schema, "required": []})
        may_be_empty = {
            one: {"anyOf": [schema["properties"][one], _NULL], **_told(schema["properties"][one])}
            for one, field in Experiment.model_fields.items()
            if name == Experiment.__name__ and isinstance(field.default, Section | tuple)
        }
        return {**schema, "properties": {**schema["properties"], **may_be_empty}}

    def as_written(self, schema: Any, section: str = "", *, is_top: bool = False) -> Any:
        """Return what a file may say where the classes have these values."""
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return {**schema, **self.ref(schema["$ref"])}
        if "keras" in schema:
            return {**self.component(schema["keras"], section), **_told(schema)}
        if "kinds" in schema:
            return {**self.kind(schema["kinds"]), **_told(schema)}
        made = {key: value for key, value in schema.items() if key != "title"}
        if not isinstance(made.get("default", ""), str | int | float):  # at null the language server completes nothing
            del made["default"]
        if "properties" in made:
            made["properties"] = {
                key: self.as_written(value, key if is_top else section) for key, value in made["properties"].items()
            }
        if "prefixItems" in made:
            made["items"] = made.pop("prefixItems")[0]
        for key in ("items", "additionalProperties", "propertyNames"):
            if key in made:
                made[key] = self.as_written(made[key], section)
        if "anyOf" in made:
            made["anyOf"] = [self.as_written(one, section) for one in made["anyOf"]]
            return _in_one(made)
        return _as_text(made)

    def ref(self, name: str) -> Schema:
        return {"$ref": f"#/$defs/{self.name}/{name}"}

    def kind(self, package: str) -> Schema:
        """Return the schema of a section that holds one kind of a family of ours."""
        known = _kinds()[package]
        refs = {name: self.ref(kind.__name__) for name, kind in known.items()}
        alone = [name for name, kind in known.items() if not _requires_any(kind)]
        below = {
            name: {"anyOf": [refs[name], _NULL]} if name in alone else refs[name]
            for name, kind in known.items()
            if not is_written_beside(kind)
        }
        beside = [refs[name] for name in known if name not in below]
        others: Schema | bool = {} if self.is_open and package == family_of(Source) else False
        return {"anyOf": [*_named(below, alone, others)["anyOf"], *beside]}

    def component(self, family: str, section: str = "") -> Schema:
        """Return a reference to the objects of a family of Keras; `section` is where they are in the file."""
        name = f"{family}-of-{section}" if family == "layers" and section else family
        if name not in self.found:
            self.found[name] = {}  # layers hold layers
            self.found[name] = self.objects(family, section)
        return self.ref(name)

    def objects(self, family: str, section: str, others: Schema | bool = False) -> Schema:
        """Return the schema of one object of a family of Keras; `others` is what may be below other names."""
        names = usable(family, section)
        if family == "activations":
            return {"anyOf": [{"enum": names}, _TEXT if self.is_open else _FILLED_IN]}
        values = {name: self.arguments(family, canonical(family, name)) for name in names}
        alone = [name for name in names if not _required(family, canonical(family, name))]
        made = _named(values, alone, {} if self.is_open else others)
        if family == "optimizers":  # in any case
            any_case = "|".join("".join(f"[{c.lower()}{c.upper()}]" for c in name) for name in names)
            made["anyOf"][1]["pattern"] += f"|^({any_case})$"
            made["anyOf"][2]["patternProperties"] = {f"^({any_case})$": {}}
        return made

    def arguments(self, family: str, name: str) -> Schema:
        """Return a reference to what may be below the name of an object of Keras."""
        definition = f"{family}.{name}"
        if definition not in self.found:
            self.found[definition] = {}
            self.found[definition] = self.arguments_of(family, name)
        return self.ref(definition)

    def arguments_of(self, family: str, name: str) -> Schema:
        known, told = _signature(family, name), _documentation(family, name)
        values = {
            one.name: self.argument(family, name, one) | _described(told.arguments.get(one.name, ""))
            for one in known.parameters
        }
        in_epochs = epoch_arguments(name) if family == "schedules" else {}
        values |= {epochs: {} for epochs in in_epochs.values()}
        values |= _of_graphs() if family == "layers" else {}
        values |= {DECAY: _number()} if family == "optimizers" and "learning_rate" in values else {}
        required = _required(family, name)
        schema: Schema = {
            "type": "object",
            "properties": values,
            "required": required,
            "additionalProperties": known.open_ended,
        }
        nothing = [] if required else [_NULL]
        return {"anyOf": [schema, *nothing, *self.first_argument(family, known, values)], **_described(told.about)}

    def first_argument(self, family: str, known: Signature, values: Mapping[str, Schema]) -> list[Schema]:
        """Return what may stand for the first argument without its name, as in `Dropout: 0.5`."""
        first = next((one for one in known.parameters if one.name not in ("name", "dtype")), None)
        if first is None or sum(one.required for one in known.parameters) > 1:
            return []
        if family_of_argument(family, first.name):
            return [{"type": ["string", "array", "number"]}]
        plain = {key: value for key, value in values[first.name].items() if key not in ("description", "default")}
        return [{"allOf": [plain, {"type": ["string", "array", "number", "boolean"]}]}]

    def argument(self, family: str, component: str, parameter: Parameter) -> Schema:
        inner = family_of_argument(family, parameter.name)
        if inner is None:
            return _plain(family, component, parameter)
        one = self.component(inner)
        if parameter.name in ("layers", "cells"):
            return {"type": "array", "items": one}
        if inner == "schedules":
            return {"anyOf": [_plain(family, component, parameter), one]}
        return {"anyOf": [one, _NULL]}


def _required(family: str, name: str) -> list[str]:
    """Return the arguments without which there is no object; of those that count steps, epochs may take the place."""
    in_epochs = epoch_arguments(name) if family == "schedules" else {}
    return [one.name for one in _signature(family, name).parameters if one.required and one.name not in in_epochs]


def _plain(family: str, component: str, parameter: Parameter) -> Schema:
    """Return what an argument takes that holds no object of Keras."""
    default = parameter.plain_default
    told = {} if default is None or isinstance(default, tuple) else {"default": default}
    is_keras = family not in FAMILIES or added(family, component) is None
    if parameter.name == "name":
        return {"type": ["string", "number", "null"]}  # `007` is text
    if parameter.name == "dtype":
        return {"type": ["string", "null"], "pattern": f"^({DTYPE.pattern})$|{_VARIABLE}"}
    if isinstance(default, bool):
        return {"type": ["boolean", "number", "string", "null"], "pattern": _VARIABLE, **told}
    if takes_number(family, parameter, is_keras):
        number = _number(family, component, parameter.name)
        number["type"] += ["null"]
        if family == "layers" or parameter.name in ALSO_SEVERAL or parameter.required or not is_keras:
            items = _number() if component == "RandomZoom" else {**number}
            items["type"] = [*items["type"], "array"]
            number |= {"type": [*number["type"], "array", "boolean", "object"], "items": items}
            number["pattern"] += f"|{_TUPLE}"
        return number | told
    if choices := choices_of(family, parameter):
        return {"anyOf": [{"enum": [*choices]}, {"not": _TEXT}, _FILLED_IN], **told}
    return told


def _number(family: str = RATES, component: str = "", parameter: str = "") -> Schema:
    """Return a number between its bounds."""
    bounds = bounds_of(family, component, parameter)
    made: Schema = {"type": "number"}
    if bounds:
        made |= {"minimum": bounds.least} if math.isfinite(bounds.least) and not bounds.is_above else {}
        made |= {"exclusiveMinimum": bounds.least} if bounds.is_above else {}
        made |= {"maximum": bounds.most} if math.isfinite(bounds.most) else {}
        made |= {"type": "integer"} if bounds.is_whole else {}
    return _as_text(made)


def _of_graphs() -> dict[str, Schema]:
    """Return what an entry of `model.layers` says beside the arguments of Keras."""
    about = "Names of earlier layers to which this one is applied; by default the layer before."
    inputs = {"type": "array", "items": _TEXT, "description": about}
    return dict.fromkeys(LAYER_KEYS, inputs)


def _as_text(schema: Schema) -> Schema:
    """Return a schema that also takes the texts that are read as its values."""
    if "enum" in schema or "const" in schema:
        rest = {key: value for key, value in schema.items() if key in ("enum", "const")}
        return {"anyOf": [rest, _FILLED_IN], **_told(schema)}
    of, pattern = schema.get("type"), schema.get("pattern")
    if pattern is not None:
        return {**schema, "pattern": f"(?:{pattern})|{_VARIABLE}"}
    if of in ("integer", "number"):
        words = {"patternErrorMessage": f"expected a {'whole ' if of == 'integer' else ''}number"}
        return {**schema, "type": [of, "string"], "pattern": f"{_NUMBER}|{_VARIABLE}", **words}
    if of == "boolean":
        limits = {"minimum": 0, "maximum": 1}
        return {**schema, "type": ["boolean", "integer", "string"], "pattern": f"{_BOOLEAN}|{_VARIABLE}", **limits}
    if of == "string":
        is_path = schema.get("format") == "path"  # `0001` is text, and true is not
        return {**schema, "type": ["string", "number", *([] if is_path else ["boolean"])]}
    if of == "array" and "$ref" not in schema.get("items", {}):
        return {"anyOf": [schema, {"type": "string", "pattern": f"{_TUPLE}|{_VARIABLE}"}], **_told(schema)}
    return schema


def _in_one(schema: Schema) -> Schema:
    """Return a schema of a plain value or null without alternatives, of which editors would say each."""
    first, *others = schema["anyOf"]
    of = first.get("type", "object")
    if others != [_NULL] or of == "object":
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**first, "type": [*([of] if isinstance(of, str) else of), "null"], **rest}


def _erasable(schema: Schema) -> Schema:
    """Return the schema of a section whose keys may be null: that takes away what a base says."""
    made = dict(schema)
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = {"anyOf": [made["additionalProperties"], _NULL]}
    if "anyOf" in made:
        made["anyOf"] = [_erasable(one) for one in made["anyOf"]]
    if "properties" in made:
        made["properties"] = {
            key: {"anyOf": [_erasable(value), _NULL], **_told(value)} for key, value in made["properties"].items()
        }
    return made


def _requires_any(kind: type[Kind]) -> bool:
    return any(field.is_required() for field in kind.model_fields.values())


def _described(text: str) -> Schema:
    return {"description": text} if text else {}


def _subclasses(one: type) -> set[type]:
    derived: list[type] = one.__subclasses__()
    return {one}.union(*map(_subclasses, derived))


@functools.cache
def _kinds() -> Mapping[str, Mapping[str, type[Kind]]]:
    """Return the kinds of data and of networks by the packages of their families."""
    return {package: dict(kinds(package)) for package in (family_of(Source), family_of(Network))}


@functools.cache
def _of_classes() -> Mapping[str, Schema]:
    """Return what pydantic makes of the classes; a reference is a name alone."""
    classes: list[Any] = [Experiment, *(kind for family in _kinds().values() for kind in family.values())]
    of_input = [(one, "validation") for one in classes]
    _, made = models_json_schema(of_input, schema_generator=_Generator, ref_template="{model}")  # type: ignore[arg-type]
    found: Mapping[str, Schema] = made["$defs"]
    return found


_signature, _documentation = functools.cache(signature), functools.cache(documentation)
