"""What the README prints can be typed as it is, in order, after `make demo`."""

import os
import re
import shlex
import shutil

import pytest

from tests.docs.conftest import ROOT, blocks
from tests.forked import run

FIRST = ("make demo", "make test", "source .venv/bin/activate")


def commands():
    text = "".join(block.text for block in blocks("console") if block.document == ROOT / "README.md")
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


def test_the_environment_is_activated_before_anything_else():
    assert tuple(commands()[:3]) == FIRST
    assert re.search(r"source \$\(BIN\)/activate", (ROOT / "Makefile").read_text(encoding="utf-8"))


@pytest.mark.long
@pytest.mark.tensorflow
def test_every_command_works_as_printed(tmp_path):
    for name in ("configs", "data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    demo = [line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "$(BIN)/kerasrun " in line]
    said = [line.split("/", 1)[1] for line in demo] + commands()[len(FIRST) :]
    inline = re.findall(r"`(kerasrun (?:init|train configs|export)[^`]*)`", (ROOT / "README.md").read_text("utf-8"))
    assert len(demo) == 3
    assert len(inline) >= 4
    for line in [*said, *(one for one in inline if "FOLDER" not in one)]:
        program, *arguments = shlex.split(line)
        if program == "kerasrun":
            few = ["-s", "fit.epochs=2"] if arguments[0] == "train" else []
            done = run(["-m", "kerasrun", *arguments, *few], tmp_path)
            expected = 2 if arguments[:2] == ["validate", "lenet.yaml"] else 0
            assert done.returncode == expected, f"{line}\n{done.stderr}"
        elif program == "sed":
            assert os.system(f"cd {tmp_path} && {line}") == 0
    assert (tmp_path / "runs/lenet_idx-1/metrics.csv").read_bytes() == (
        tmp_path / "runs/lenet_idx-2/metrics.csv"
    ).read_bytes()
