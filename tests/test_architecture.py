"""The house: imports point one way, and the light half never loads TensorFlow or Keras."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kerasrun"

# From the bottom of the house to its roof: a part may import only parts before it (docs/design.md says why).
ORDER = (
    *(
        "version",
        "errors",
        "collector",
        "components",
        "keras_source",
        "keras_catalogue",
        "dice",
        "learning_rates",
        "outputs",
        "plugins",
        "keras_objects",
    ),
    *("sources", "models", "model_file"),
    *("experiment", "runs", "pipeline", "training", "results", "commands", "cli", "__main__"),
)
LIGHT = ("errors", "components", "keras_catalogue", "sources", "models", "model_file", "experiment", "runs", "commands")
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
    "arguments", [["--help"], ["train", "--help"], ["validate", "configs/cnn_layers.yaml"], ["runs"]]
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
