"""Plugins: Python files of a user, with layers, losses, metrics, callbacks and functions to be named like Keras's.

They are read with `ast` when an experiment is checked, and imported when something of theirs is built. Light to import.
"""

import ast
import contextlib
import hashlib
import importlib.util
import linecache
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasrun import keras_catalogue, known_plugins
from kerasrun.errors import KerasrunError, ModelError, ModelFileError, PluginError
from kerasrun.keras_catalogue import FAMILIES, PLUGIN_MODULES, RATES, SOURCES, Added, added, added_objects
from kerasrun.keras_source import add_file, ancestors, source_of, statements
from kerasrun.regular_files import read_bytes
from kerasrun.run_files import RunFile

FOLDER = RunFile.PLUGINS
"""Where a run directory keeps its plugins."""
MOST_NAMES = 1_000
"""How many functions, arguments, classes, bases and annotated names a plugin may have: each is looked at for each."""


@dataclass(frozen=True)
class Plugin:
    """One file, as it was read."""

    path: Path
    content: bytes
    """The bytes that are checked, run and kept, whatever becomes of the file meanwhile."""
    objects: tuple[Added, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def module(self) -> str:
        return module_of(self.path)


_in_use: tuple[Plugin, ...] = ()


def module_of(path: Path) -> str:
    """The name under which a plugin is imported."""
    return f"{PLUGIN_MODULES}{path.stem}"


def read(path: Path) -> Plugin:
    """Read a file without running it.

    Raises:
        PluginError: if it is missing, is no Python, or has nothing that an experiment could name.
    """
    if path.suffix != ".py":
        raise PluginError("expected a Python file, whose name ends in .py")
    try:
        if path.is_dir():
            raise PluginError("a folder; expected a Python file")
        content = read_bytes(path)
        add_file(module_of(path), content, path)
    except FileNotFoundError:
        raise PluginError("no such file; expected a Python file") from None
    except OSError as error:
        raise PluginError(f"cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise PluginError(f"no Python{line}: {error.msg if isinstance(error, SyntaxError) else error}") from None
    if _named_in(module_of(path)) > MOST_NAMES:
        raise PluginError(f"more than {MOST_NAMES:,} functions, arguments, classes, their bases and annotated names")
    objects = added_objects(module_of(path))
    if not objects:
        raise PluginError(
            "nothing in it can be named: expected a class that derives from one of Keras (keras.layers.Layer, …) or "
            "from kerasrun.sources.Source, or a function of (y_true, y_pred), of (epoch), of (x) or of (split)"
        )
    return Plugin(path, content, objects)


def _named_in(module: str) -> int:
    """Return how many functions, arguments, classes, bases and annotated names stand in a file but for its methods."""
    tree, count = source_of(module), 0
    assert tree is not None
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            count += 1 + len(node.bases) + sum(isinstance(one, ast.AnnAssign) for one in node.body)
    for node in statements(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count += 1 + sum(isinstance(one, ast.arg) for one in ast.walk(node.args))
    return count


def use(plugins: Sequence[Plugin]) -> None:
    """From now on the names of these, and of no others, mean something; the experiment at hand decides."""
    global _in_use  # as Keras's own registry is the process's
    _in_use = tuple(plugins)
    keras_catalogue.use([one for plugin in plugins for one in plugin.objects])


def in_use() -> tuple[Plugin, ...]:
    """The plugins of the experiment at hand."""
    return _in_use


def checksums() -> dict[str, str]:
    """File name → sha256 of each plugin in use."""
    return {plugin.path.name: plugin.sha256 for plugin in _in_use}


def problems_of(plugin: Plugin) -> list[str]:
    """A sentence for each name that Keras, kerasrun or another plugin has too."""
    found = []
    for one in plugin.objects:
        for family in one.families:
            known = keras_catalogue.keras_name(family, one.name)
            if known:
                where = FAMILIES.get(family, "kerasrun")
                found.append(f"line {one.place.node.lineno}: {where} has a {known} too; give '{one.name}' another name")
                break
    return found


def refusal(family: str, name: str) -> str | None:
    """Why something of a plugin cannot be used as it is written; None if it can, or is of no plugin."""
    one = added(family, name)
    if one is None or not one.place.module.startswith(PLUGIN_MODULES):
        return None
    where = f"line {one.place.node.lineno} of {one.place.module.removeprefix(PLUGIN_MODULES)}.py"
    if family == "callbacks":
        return _refused_callback(one, where)
    if family != RATES and not _is_registered(one.place.node):
        return f"{where}: put @keras.saving.register_keras_serializable() above it, so that a model file can name it"
    if family == "metrics" and not one.is_function and not _takes(one, "name"):
        return f"{where}: its __init__ must take a name, under which the logs have its value"
    return None


def load() -> None:
    """Import every plugin in use.

    Raises:
        PluginError: if one fails, with the line of its file.
    """
    for plugin in _in_use:
        _import(plugin.path, plugin.content)


def source_named(name: str) -> Any:
    """Import the plugin in use that has this function or class for data, and return that.

    Raises:
        PluginError: if the import fails.
    """
    plugin = with_source(name)
    _import(plugin.path, plugin.content)
    return getattr(sys.modules[plugin.module], added_source(name).name)


def place_of_source(name: str) -> str:
    """Return the file and the line in which what gives the data begins: the function, or `arrays` of the class."""
    node = added_source(name).place.node
    arrays = (one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "arrays")
    line = node.lineno if isinstance(node, ast.FunctionDef) else next(arrays, node).lineno
    return f"{with_source(name).path}:{line}"


def import_of_keras(source: str) -> str | None:
    """Return where the plugin with this function for data imports Keras or TensorFlow; None if it does not."""
    plugin = with_source(source)
    tree = source_of(plugin.module)
    assert tree is not None, "it was read"
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names = [one.name for one in node.names]
            case ast.ImportFrom(module=str(module)):
                names = [module]
            case _:
                continue
        if any(name.partition(".")[0] in ("keras", "tensorflow") for name in names):
            return f"line {node.lineno} of {plugin.path.name}"
    return None


def added_source(name: str) -> Added:
    """Return the function or class for data of this name.

    Raises:
        KeyError: if no plugin in use has it.
    """
    own = keras_catalogue.canonical(SOURCES, name)
    return next(one for plugin in _in_use for one in plugin.objects if one.name == own and SOURCES in one.families)


def with_source(name: str) -> Plugin:
    """Return the plugin that has it; raises as `added_source`."""
    one = added_source(name)
    return next(plugin for plugin in _in_use if one in plugin.objects)


def require_of_run(run: Path, *, trust: bool) -> None:
    """Check that the plugins in use, which a run names, may be imported; `trust` as in `known_plugins.require`.

    Raises:
        PluginError: if one may not, or is not the run's own copy.
    """
    for plugin in _in_use:
        if plugin.path.parent != run / FOLDER:
            raise PluginError(f"{plugin.path}: a run has its plugins in its own folder: {run / FOLDER}")
        known_plugins.require(plugin.path, plugin.sha256, trust=trust)


def find_for(model: Path, wanted: Mapping[str, str], given: Sequence[Path], *, trust: bool) -> list[tuple[Path, bytes]]:
    """Return the plugins that a model file names, with their content: those given, else those that its run keeps.

    Args:
        wanted: file name → sha256.
        trust: as in `known_plugins.require`; who gives a file has read it.

    Raises:
        ModelFileError: if one is not there, or its name leads to another folder.
        PluginError: if one is another version, or may not be imported.
    """
    found = []
    offered = {path.name: path for path in given}
    for name, sha256 in wanted.items():
        if Path(name).name != name or "\\" in name:
            raise ModelFileError(f"{model} names the plugin {name!r}; expected the name of a Python file alone")
        path = offered.get(name)
        if path is None and (model.parent / RunFile.RUN).is_file():
            path = model.parent / FOLDER / name
        if path is None or not path.is_file():
            raise ModelFileError(
                f"{model} was made with the plugin {name}, which is not beside it: --plugin PATH/{name}"
            )
        try:
            content = read_bytes(path)
        except OSError as error:
            raise PluginError(f"{path}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise PluginError(f"{path}: not the plugin that {model} was made with: its content has changed")
        if name not in offered:
            known_plugins.require(path, sha256, trust=trust)
        found.append((path, content))
    return found


def load_for(found: Sequence[tuple[Path, bytes]]) -> None:
    """Import what `find_for` found.

    Raises:
        PluginError: if one fails.
    """
    for path, content in found:
        _import(path, content)


@contextlib.contextmanager
def errors_explained() -> Iterator[None]:
    """An error in a plugin's code, told with the line of its file instead of a traceback.

    Raises:
        PluginError: in place of what was raised there.
    """
    try:
        yield
    except (Exception, SystemExit) as error:  # to end the process is an error as well: nobody would know why
        if isinstance(error, KerasrunError) and not isinstance(error, ModelError):
            raise
        place = place_in_plugin(traceback.format_exc())
        if place is None:
            raise
        raise PluginError(f"{place}: {_sentence(error)}") from error


def _import(path: Path, content: bytes) -> None:
    module_name, sha256 = module_of(path), hashlib.sha256(content).hexdigest()
    present = sys.modules.get(module_name)
    # A file elsewhere is imported anew although it is the same: its errors are to name it.
    if present and (vars(present)["kerasrun_sha256"], present.__file__) == (sha256, str(path)):
        return
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    vars(module)["kerasrun_sha256"] = sha256
    sys.modules[module_name] = module
    try:
        # Not by the loader: it would read the file again, or the bytecode of an earlier one.
        exec(compile(content, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        lines = re.findall(rf'File "{re.escape(str(path))}", line (\d+)', traceback.format_exc())
        place = f"{path}:{lines[-1]}" if lines else str(path)
        text = f"\n    {linecache.getline(str(path), int(lines[-1])).strip()}" if lines else ""
        raise PluginError(f"{place}: the plugin cannot be imported: {_sentence(error)}{text}") from error


def place_in_plugin(text: str) -> str | None:
    """Return the innermost line of a plugin in a traceback, or in what TensorFlow tells of one: `file.py:12`."""
    paths = "|".join(re.escape(str(plugin.path)) for plugin in _in_use)
    found = re.findall(rf'File "({paths})", line (\d+)', text) if paths else []
    return ":".join(found[-1]) if found else None


def _sentence(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    return last if isinstance(error, ModelError) else f"{type(error).__name__}: {last}".rstrip(": ")


def _refused_callback(one: Added, where: str) -> str | None:
    methods = {
        node.name: place.module
        for place in reversed(ancestors(one.place))
        for node in getattr(place.node, "body", ())
        if isinstance(node, ast.FunctionDef)
    }
    own = {name for name, module in methods.items() if module.startswith(PLUGIN_MODULES)}
    never = sorted(name for name in own if name.startswith(("on_test_batch_", "on_predict_")))
    if never:
        return f"{where}: its {never[0]} would never be called: validation does not announce its batches"
    if {"get_state", "set_state"} <= own or _says_stateless(one):
        return None
    return (
        f"{where}: a resumed run could not continue it: give it get_state(), which returns what it keeps while "
        "training as plain values, and set_state(state), which puts it back; or, if it keeps nothing, stateless = True"
    )


def _says_stateless(one: Added) -> bool:
    for node in getattr(one.place.node, "body", ()):
        match node:
            case ast.Assign(targets=[ast.Name(id="stateless")], value=ast.Constant(value=True)):
                return True
    return False


def _is_registered(node: ast.ClassDef | ast.FunctionDef) -> bool:
    names = (one.func if isinstance(one, ast.Call) else one for one in node.decorator_list)
    return any("register_keras_serializable" in (getattr(one, "attr", ""), getattr(one, "id", "")) for one in names)


def _takes(one: Added, argument: str) -> bool:
    known = one.signature("metrics")
    return known.open_ended or any(parameter.name == argument for parameter in known.parameters)
