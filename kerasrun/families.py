"""A family is a folder, a member is a file in it: nothing is registered.

`base`, which has what the members share, and files whose names begin with an underscore are not members.
"""

import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType


def members(folder: Iterable[str | Path]) -> list[str]:
    """Return the names of the members in a family's folder, in order; `folder` is a package's `__path__`."""
    names = (file.stem for one in folder for file in Path(one).glob("*.py"))
    return sorted(name for name in names if name != "base" and not name.startswith("_"))


def modules(package: str) -> dict[str, ModuleType]:
    """Import the members of a family, and return them by their names; `package` is e.g. `kerasrun.sources`."""
    folder = importlib.import_module(package).__path__
    return {name: importlib.import_module(f"{package}.{name}") for name in members(folder)}
