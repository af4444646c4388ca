"""What is installed has what its commands need."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from kerasrun.version import VERSION

ROOT = Path(__file__).parents[1]
TOO_OLD = int(version("setuptools").partition(".")[0]) < 77

pytestmark = pytest.mark.skipif(
    TOO_OLD or find_spec("build") is None,
    reason="setuptools or build is not as pyproject.toml asks: pip install -e '.[dev]'",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that `make dist` builds, by way of the source distribution, of the files that the Dockerfile copies."""
    folder = tmp_path_factory.mktemp("packaging")
    (folder / "tree").mkdir()
    listed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in [line.removeprefix("!") for line in listed if line.startswith("!")]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "tree" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / "tree")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "tree"]
    subprocess.run(build, check=True, capture_output=True)
    (sdist,), (built,) = ((folder / "dist").glob(pattern) for pattern in ("*.tar.gz", "*.whl"))
    assert sdist.name == f"kerasrun-{VERSION}.tar.gz"
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel and nothing else; what it depends on is found where this process has it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "dependencies.pth").write_text("\n".join(others), encoding="utf-8")
    return folder / "bin"


def run(*command, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_built_package_has_the_examples_and_copies_them(wheel, installed, tmp_path):
    examples = {file.name for file in (ROOT / "configs").iterdir() if file.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        packed = [Path(name) for name in archive.namelist()]
    assert Path("kerasrun", "constraints.txt") in packed
    assert {file.name for file in packed if file.parent == Path("kerasrun", "configs")} == examples
    assert run(installed / "kerasrun", "init", "lenet_idx", cwd=tmp_path) == "lenet_idx.yaml\n"
    copy = (tmp_path / "lenet_idx.yaml").read_text(encoding="utf-8")
    assert "put the path of yours there" in copy.partition("seed:")[0]
    assert "path: ../data/digits/idx" in copy


@pytest.mark.long
@pytest.mark.tensorflow
def test_an_installed_package_trains_what_init_wrote(installed, tmp_path):
    shutil.copytree(ROOT / "data" / "digits" / "idx", tmp_path / "data" / "digits" / "idx")
    work = tmp_path / "work"
    work.mkdir()
    code = "import kerasrun; print(kerasrun.__file__)"
    assert Path(run(installed / "python", "-c", code, cwd=work)).is_relative_to(installed.parent)
    run(installed / "kerasrun", "init", "lenet_idx", cwd=work)
    trained = run(installed / "kerasrun", "train", "lenet_idx.yaml", "-s", "fit.epochs=1", cwd=work)
    assert trained == "runs/lenet_idx-1\n"
    assert (work / "runs" / "lenet_idx-1" / "best.keras").is_file()
