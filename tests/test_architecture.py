"""The house: imports point one way, and the light half never loads TensorFlow or Keras."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from kerasrun.families import members

PACKAGE = Path(__file__).parents[1] / "kerasrun"

# From the bottom of the house to its roof: a part may import only parts before it (docs/design.md says why).
ORDER = (
    *(
        "version",
        "errors",
        "regular_files",
        "sqlite_files",
        "stderr",
        "user_folders",
        "collector",
        "run_files",
        "families",
        "components",
        "keras_source",
        "keras_bounds",
        "keras_rules",
        "keras_catalogue",
        "keras_docs",
        "dice",
        "learning_rates",
        "outputs",
        "keras_configs",
        "known_plugins",
        "plugins",
        "keras_objects",
    ),
    *(
        "network_layers",
        "text",
        "reading",
        "network_size",
        "report",
        "tasks",
        "sources",
        "models",
        "model_file",
        "callbacks",
        "trackers",
    ),
    *("experiment", "runs", "workers", "pipeline", "inspection", "engine", "training", "exports", "results"),
    *("reported", "many", "notebook"),
    *("commands", "cli", "__main__"),
)
LIGHT = (
    *(
        "errors",
        "run_files",
        "families",
        "components",
        "keras_catalogue",
        "keras_docs",
        "keras_configs",
        "network_layers",
        "text",
        "reading",
        "network_size",
        "report",
    ),
    *("tasks", "sources", "models", "model_file", "callbacks", "trackers", "experiment", "runs", "commands"),
)
FILES = sorted(PACKAGE.rglob("*.py"))


def test_the_package_was_found():
    assert len(FILES) > 50


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file):
    part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if part == "__init__":
        return
    for imported in _imports(file):
        assert ORDER.index(imported) <= ORDER.index(part), f"{file} imports {imported}, which stands above {part}"


def test_every_part_has_its_place():
    parts = {entry.name.removesuffix(".py") for entry in PACKAGE.iterdir() if not entry.name.startswith("__py")}
    assert parts - {"__init__"} == set(ORDER)


@pytest.mark.parametrize("part", LIGHT)
def test_the_light_half_loads_neither_tensorflow_nor_keras(part):
    code = f"""
import importlib, pkgutil, sys
import kerasrun.{part} as part
for module in pkgutil.walk_packages(getattr(part, "__path__", []), part.__name__ + "."):
    importlib.import_module(module.name)
print(sorted({{"tensorflow", "keras", "matplotlib"}} & set(sys.modules)))
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["export", "--help"],
        ["doctor", "--help"],
        ["validate", "configs/cnn_layers.yaml"],
        ["runs"],
    ],
)
def test_light_commands_load_neither_tensorflow_nor_keras(arguments):
    code = f"""
import sys
from kerasrun.cli import app
try:
    app({arguments!r})
except SystemExit as end:
    print(end.code, sorted({{"tensorflow", "keras", "matplotlib"}} & set(sys.modules)), file=sys.stderr)
"""
    root = PACKAGE.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (["--help"], {"typer"}),
        (["runs"], {"typer", "pydantic", "kerasrun.commands.runs"}),
        (["export", "--help"], {"typer", "pydantic", "kerasrun.commands.export"}),
        (
            ["validate", "configs/cnn_layers.yaml"],
            {"typer", "pydantic", "yaml", "kerasrun.commands.validate", "kerasrun.sources.directory"}
            | {"kerasrun.models.layers", "kerasrun.tasks.classes"},
        ),
    ],
)
def test_a_command_loads_neither_other_commands_nor_kinds_that_the_experiment_does_not_name(arguments, loaded):
    code = f"""
import sys
from kerasrun.cli import app
try:
    app({arguments!r})
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    ).stderr.split()
    heavy = {"typer", "pydantic", "yaml", "numpy", "h5py", "tensorflow", "keras", "PIL", "matplotlib", "rich"}
    heavy |= {"kerasrun.runs.environment", "kerasrun.workers.cluster", "kerasrun.workers.group"}
    families = ["sources", "models", "exports", "tasks", *(["commands"] if arguments != ["--help"] else [])]
    of_families = {f"kerasrun.{family}.{name}" for family in families for name in members([PACKAGE / family])}
    assert (heavy | of_families) & set(done) == loaded


def _imports(file: Path) -> set[str]:
    """The parts of kerasrun that a file imports, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kerasrun":
            path = node.module.split(".")
            found |= {path[1]} if len(path) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("kerasrun.")}
    return found


def _modules() -> dict[str, set[str]]:
    """Which modules of kerasrun each of them imports, in functions too; a package stands for its `__init__`."""
    names = {".".join(("kerasrun", *file.relative_to(PACKAGE).with_suffix("").parts)): file for file in FILES}
    names = {name.removesuffix(".__init__"): file for name, file in names.items()}
    found = {}
    for name, file in names.items():
        imported: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
        # `from package.module import name` needs the module alone.
        found[name] = {one for one in imported & names.keys() if not any(f"{one}." in longer for longer in imported)}
    return found


def test_no_module_imports_itself_through_others():
    modules = _modules()
    assert len(modules) > 50
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path[path.index(module) :], module))
        if module not in done:
            for imported in modules[module]:
                visit(imported, (*path, module))
            done.add(module)

    for module in modules:
        visit(module, ())


def test_no_package_imports_what_another_keeps_to_itself():
    for module, imported in _modules().items():
        package = module.split(".")[1] if "." in module else ""
        private = {one for one in imported if any(part.startswith("_") for part in one.split(".")[2:])}
        assert all(one.split(".")[1] == package for one in private), f"{module} imports {', '.join(sorted(private))}"


def test_results_need_nothing_of_training():
    used = {part for file in (PACKAGE / "results").rglob("*.py") for part in _imports(file)}
    assert "engine" in used
    assert "training" not in used
