"""The example experiments and the versions that were tested go into the package that is built, so that `kerasrun init`
and `kerasrun doctor` find them where it is installed.

Everything else is in pyproject.toml.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies `configs/` and `constraints.txt` into `kerasrun/`; a checkout has them beside the package."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        files = sorted(Path("configs").glob("*.yaml")) + sorted(Path("configs").glob("*.py"))
        if not files:
            raise FileNotFoundError("configs: no example experiments beside setup.py")
        target = Path(self.build_lib, "kerasrun", "configs")
        self.mkpath(str(target))
        for file in files:
            self.copy_file(str(file), str(target / file.name))
        self.copy_file("constraints.txt", str(target.parent))


setup(cmdclass={"build_py": BuildWithConfigs})
