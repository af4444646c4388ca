"""The example experiments that come with kerasrun, and copies of them to edit."""

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from kerasrun.errors import UsageError
from kerasrun.experiment.new_files import write_experiment, write_new
from kerasrun.experiment.resolved import flow_yaml

PACKAGE = Path(__file__).parents[1]
_DATA_PATH = re.compile(r"\.\./data/[\w./-]+")
_NO_DATA = (
    "# The data that it names are in kerasrun's source, not in the installed package: put the path of yours there.\n"
)


@dataclass(frozen=True)
class Example:
    """An experiment that comes with kerasrun."""

    file: Path

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def about(self) -> str:
        """The first sentence of its header."""
        header = re.match(r"(#.*\n)+", self.text)
        text = " ".join(line.lstrip("# ") for line in header[0].splitlines()) if header else ""
        return re.split(r"(?<=[.;])\s|\s+kerasrun train ", text)[0].rstrip(".;")

    @property
    def plugins(self) -> tuple[Path, ...]:
        """The files beside it that it names."""
        return tuple(file for file in sorted(self.file.parent.glob("*.py")) if f"[{file.name}]" in self.text)

    @property
    def text(self) -> str:
        return self.file.read_text(encoding="utf-8")


def examples() -> dict[str, Example]:
    """Every example by its name: an installed package has them in itself, a checkout beside it."""
    folder = next(folder for folder in (PACKAGE / "configs", PACKAGE.parent / "configs") if folder.is_dir())
    return {file.stem: Example(file) for file in sorted(folder.glob("*.yaml"))}


def copy_example(name: str, target: Path | None = None) -> Path:
    """Copy an example to edit, with its plugins; where its data are here, the copy names them and trains as it is.

    Args:
        name: of the example.
        target: the file; by default the example's name in the working directory.

    Raises:
        UsageError: if there is no such example.
        DataError: if the target is there already, or cannot be written.
    """
    known = examples()
    example = known.get(name.removesuffix(".yaml"))
    if example is None:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"no example {name!r}; there are {', '.join(known)}{meant}")
    target = target or Path(example.file.name)
    text = example.text.replace(f"configs/{example.file.name}", str(target))
    write_experiment(target, _with_paths(text, example.file, target))
    for plugin in example.plugins:
        beside = target.parent / plugin.name
        if not beside.exists():
            write_new(beside, plugin.read_text(encoding="utf-8"))
    return target


def _with_paths(text: str, source: Path, target: Path) -> str:
    project, folder = source.resolve().parents[1], target.absolute().parent

    def found(match: re.Match[str]) -> str:
        data = (source.parent / match[0]).resolve()
        near = folder.resolve().is_relative_to(project)
        return flow_yaml(Path(os.path.relpath(data, folder)).as_posix() if near else str(data))

    paths = _DATA_PATH.findall(text)
    if all((source.parent / path).exists() for path in paths):
        return _DATA_PATH.sub(found, text)
    header = re.match(r"(#.*\n)*", text)
    end = header.end() if header else 0
    return text[:end] + _NO_DATA + text[end:]
