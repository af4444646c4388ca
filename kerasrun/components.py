"""One grammar for every part of an experiment: a name, or a name with its arguments.

`LeNet` and `{SGD: {learning_rate: 0.01}}` are both components. Sources and models are families, whose members are
kinds. A member that has many kinds lists their names and makes each when it is asked for: `kind_names()` and
`kind(name)`; `MANY` says in a few words what they are.
"""

import functools
import importlib
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from kerasrun.families import members, modules


@dataclass(frozen=True)
class Component:
    """A name with its arguments; an argument may hold components in turn, still as plain values."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Keras:
    """The mark of a field that holds components: `Annotated[Component, Keras("optimizers")]`."""

    family: str
    """The family of Keras whose objects the components name."""
    is_graph: bool = False
    """True if the components are a list of layers that name each other."""

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Return the mark itself: `json_schema` puts there what Keras has."""
        del core_schema, handler
        return {"keras": self.family}


def as_component(value: Any) -> Component:
    """Read `Name`, `{Name: null}` or `{Name: {argument: value}}`.

    Raises:
        ValueError: if `value` has none of these forms; the message says which form was expected.
    """
    if isinstance(value, Component):
        return value
    if isinstance(value, str):
        return Component(value)
    if isinstance(value, Mapping) and len(value) == 1:
        (name, arguments), *_ = value.items()
        if isinstance(name, str) and (arguments is None or isinstance(arguments, Mapping)):
            return Component(name, dict(arguments or {}))
    raise ValueError("expected a name, or one name with its arguments: {Name: {argument: value}}")


def snake_case(name: str) -> str:
    """Return `mean_squared_error` for `MeanSquaredError`, as Keras names its objects."""
    split = re.sub(r"\W+", "", name)
    split = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", split)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", split).lower()


class PlacedText(str):
    """Text that is not in the experiment file itself: as a path it is relative to `folder`, not to that file.

    That is the working directory for what `--set` gives, and the file's own folder for what a `base` says.
    """

    folder: Path

    def __new__(cls, text: str, folder: Path) -> "PlacedText":
        placed = super().__new__(cls, text)
        placed.folder = folder
        return placed

    def __getnewargs__(self) -> tuple[str, Path]:  # type: ignore[override]  # to be copied
        return str(self), self.folder


def absolute(path: str | Path, folder: Path) -> Path:
    """Return a path of an experiment in `folder` as an absolute one."""
    # Pathlib's `expanduser` raises where there is no such user; what stays as it is does not exist.
    expanded = os.path.expanduser(path)  # noqa: PTH111
    return Path(path.folder if isinstance(path, PlacedText) else folder, expanded).absolute()


_LONGEST_NAME = 255


def _absolute(value: Any, info: ValidationInfo) -> Any:
    folder = (info.context or {}).get("folder", Path.cwd())
    if not isinstance(value, str | Path):
        return value
    path = absolute(value, folder)
    if str(value).startswith("~") and str(value).partition("/")[0] in path.parts and not path.exists():
        raise ValueError(f"expected a user of this machine behind '~', or a home where $HOME says one: {value}")
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts):
        raise ValueError(f"expected names of at most {_LONGEST_NAME} bytes, as file systems have them")
    return path


ExperimentPath = Annotated[Path, BeforeValidator(_absolute)]
"""A path in an experiment file: relative to the file's folder (the validation context's `folder`), kept absolute."""


class Kind(BaseModel):
    """The YAML fields of one kind of a family, frozen once read; a field that is not declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    kind: ClassVar[str]
    """The name in YAML."""


def is_written_beside(kind: type[Kind]) -> bool:
    """Return whether a field has the kind's own name, so that its fields are written in the section itself."""
    return kind.kind in kind.model_fields


def family_of(kind: type[Kind]) -> str:
    """Return the package of a kind's family."""
    return kind.__module__.rpartition(".")[0]


class Kinds(Mapping[str, type[Kind]]):
    """The kinds of a family by name. A kind whose file has its name, in lower case, is found without the others.

    Those that are made by a function are made when they are asked for.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self._files = members(importlib.import_module(package).__path__)

    def __getitem__(self, name: str) -> type[Kind]:
        file = name.lower()
        own = _kinds_in(importlib.import_module(f"{self._package}.{file}")) if file in self._files else {}
        return own[name] if name in own else self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    @property
    def in_words(self) -> list[str]:
        """What to choose from, in a message: each name, and what the names of each function have in common."""
        found = {name for module in self._modules for name in _kinds_in(module)}
        return [*sorted(found), *(module.MANY for module in self._modules if hasattr(module, "MANY"))]

    @functools.cached_property
    def _makers(self) -> Mapping[str, Callable[[], type[Kind]]]:
        made = {
            name: functools.partial(module.kind, name)
            for module in self._modules
            if hasattr(module, "kind_names")
            for name in module.kind_names()
        }
        found = {
            name: functools.partial(_itself, kind) for one in self._modules for name, kind in _kinds_in(one).items()
        }
        return made | found

    @functools.cached_property
    def _modules(self) -> Collection[ModuleType]:
        return modules(self._package).values()


def kinds(package: str) -> Kinds:
    """Return every kind of a family, by its name in YAML. `package` is e.g. `kerasrun.sources`."""
    return Kinds(package)


def _kinds_in(module: ModuleType) -> Mapping[str, type[Kind]]:
    values = vars(module).values()
    return {one.kind: one for one in values if isinstance(one, type) and issubclass(one, Kind) and "kind" in vars(one)}


def _itself(kind: type[Kind]) -> type[Kind]:
    return kind
