"""What TensorBoard writes beside curves is there under our loop, each epoch once, after a resume as well."""

import os
import shutil

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kerasrun
from kerasrun.callbacks import build_callbacks
from kerasrun.components import Component
from kerasrun.errors import RunDirectoryError
from kerasrun.runs.directory import open_run
from tests.training.conftest import DIGITS
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow

SAMPLE = {"histogram_freq": 1}

EXPERIMENT = """
data: {npz: {path: digits.npz}}
model: {layers: [{Conv2D: {filters: 2, kernel_size: 5, strides: 5, name: edges}}, Flatten]}
fit: {batch_size: 300, epochs: 4, validation_data: test}
callbacks:
  - TensorBoard: {histogram_freq: 1, write_images: true, embeddings_freq: 2, write_graph: false, profile_batch: "2,3"}
"""


@pytest.fixture(scope="module", params=["whole", "cut"])
def board(request, tmp_path_factory):
    """The folder of TensorBoard, of a run that was left alone and of one that was cut and resumed."""
    folder = tmp_path_factory.getbasetemp() / "tensorboard-runs"
    if not folder.exists():
        folder.mkdir()
        shutil.copy(DIGITS, folder)
        train_whole_and_cut(folder, EXPERIMENT)
        kerasrun.resume(open_run(folder / "cut" / "run-1"))
    return folder / request.param / "run-1" / "tensorboard"


@pytest.mark.long
def test_histograms_and_images_are_there_for_each_epoch(board):
    events = EventAccumulator(str(board / "train"), size_guidance={"tensors": 0}).Reload()
    for tag in ("edges/kernel/histogram", "edges/bias/image", "output/kernel/histogram", "output/kernel/image"):
        assert [event.step for event in events.Tensors(tag)] == [0, 1, 2, 3]


@pytest.mark.long
def test_the_profile_is_there(board):
    assert [path.suffixes for path in board.glob("train/plugins/profile/*/*")] == [[".xplane", ".pb"]]


@pytest.mark.long
def test_the_weights_for_the_projector_are_there(board):
    assert (board / "projector_config.pbtxt").exists()
    saved = sorted(path.name for path in board.glob("train/*.weights.h5"))
    assert saved == ["keras_embedding.ckpt-0.weights.h5", "keras_embedding.ckpt-2.weights.h5"]


def test_a_folder_whose_name_tensorflow_cannot_write_is_told(tmp_path):
    with pytest.raises(RunDirectoryError, match=r"only where all names are UTF-8; choose another folder with --output"):
        build_callbacks([Component("TensorBoard", {})], tmp_path / os.fsdecode(b"runs-\xff"))


@pytest.mark.parametrize(
    ("arguments", "every_step"),
    [({}, False), ({"histogram_freq": 1}, False), ({"update_freq": "batch"}, True)],
)
def test_only_one_that_writes_of_steps_needs_every_step(tmp_path, arguments, every_step):
    (adapter,) = build_callbacks([Component("TensorBoard", arguments)], tmp_path)
    assert adapter.needs_every_step() is every_step


@pytest.mark.parametrize(("arguments", "folder"), [({}, "tensorboard"), ({"log_dir": "tb"}, "tb")])
def test_its_files_are_in_a_folder_of_the_run(tmp_path, arguments, folder):
    (adapter,) = build_callbacks([Component("TensorBoard", arguments)], tmp_path)
    assert adapter.outputs() == [tmp_path / folder / "train", tmp_path / folder / "validation"]
