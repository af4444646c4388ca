"""A run that is stopped after any of its steps and resumed in another process ends with the same bits.

Two processes resume all of them. `tests/torture` has a process for each resume.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kerasrun.runs.directory import open_run
from tests import forked
from tests.training.exactness import EPOCHS, STEPS_PER_EPOCH, digests

pytestmark = [pytest.mark.tensorflow, pytest.mark.long]
STEPS = EPOCHS * STEPS_PER_EPOCH
CUTS = [f"step-{step}" for step in range(1, STEPS + 1)] + [f"epoch-{epoch}" for epoch in range(1, EPOCHS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`whole/exact-1`, `stepped/exact-1`, and `cut/step-<step>`, `cut/epoch-<epoch>`, all of these resumed."""
    folder = tmp_path_factory.mktemp("exact")
    subprocess.run([sys.executable, "-m", "tests.training.steps_copied", folder], check=True)

    def resume(cuts: list[str]) -> None:
        script = "import sys, kerasrun\nfor run in sys.argv[1:]: kerasrun.resume(run)"
        forked.run(["-c", script, *(folder / "cut" / cut for cut in cuts)], folder).check_returncode()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(resume, (CUTS[::2], CUTS[1::2])))
    return folder


def test_the_run_has_what_could_go_wrong(folder):
    rows = open_run(folder / "whole" / "exact-1").metrics_file.read_text().splitlines()
    rates = [row.split(",")[-1] for row in rows[1:]]
    assert len(rates) == EPOCHS
    assert len(set(rates)) > 1, "the plateau callback never acted"


def test_saving_more_often_changes_nothing(folder):
    assert digests(open_run(folder / "stepped" / "exact-1")) == digests(open_run(folder / "whole" / "exact-1"))


@pytest.mark.parametrize("cut", CUTS)
def test_a_run_cut_anywhere_ends_with_the_same_bits(folder, cut):
    assert digests(open_run(folder / "cut" / cut)) == digests(open_run(folder / "whole" / "exact-1"))


@pytest.mark.parametrize("cut", CUTS)
def test_tensorboard_shows_each_point_once_after_a_resume(folder, cut):
    assert _scalars(folder / "cut" / cut) == _scalars(folder / "whole" / "exact-1")


@pytest.mark.parametrize("run", ["whole/exact-1", "cut/step-1", "cut/step-13"])
def test_tensorboard_has_the_graph(folder, run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / run / "tensorboard" / "train")).Reload()
    operators = {node.op for function in events.Graph().library.function for node in function.node_def}
    assert {"Conv2D", "Conv2DBackpropFilter", "MatMul"} <= operators
    assert events.summary_metadata["keras"].plugin_data.plugin_name == "graph_keras_model"


def _scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    import tensorflow as tf

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted((run / "tensorboard").rglob("*tfevents*")):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars":
                    number = float(tf.make_ndarray(value.tensor))
                    found.setdefault(f"{file.parent.name}/{value.tag}", []).append((event.step, number))
    assert found
    return found
