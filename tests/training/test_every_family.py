"""Every kind of data and of network, and both forms of augmentation: cut, resumed, and the same bits as uncut.

The test file of each network has `short_experiment(folder)`: it writes what it needs, and returns the text of an
experiment with some sixty examples. So has that of a source, unless a network's experiment reads its data. Callbacks,
optimizers and schedules go through the same in `tests/torture`.
"""

import pytest

import kerasrun
from kerasrun.components import kinds
from kerasrun.experiment.load import parse
from kerasrun.runs.directory import open_run
from tests.families import own_tests
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow
NETWORKS = {own_tests(kind) for kind in kinds("kerasrun.models").values()}
SOURCES = {own_tests(kind) for kind in kinds("kerasrun.sources").values()}
FILES = sorted({*NETWORKS, *(one for one in SOURCES if hasattr(one, "short_experiment"))}, key=lambda one: one.__name__)


def test_every_family_is_here(tmp_path):
    """Found by listing its folder: a file of tests without an experiment would be noticed."""
    pytest.importorskip("pyarrow")
    experiments = [parse(own.short_experiment(tmp_path), tmp_path / "run.yaml").experiment for own in FILES]
    assert {experiment.data.kind for experiment in experiments} == kinds("kerasrun.sources").keys()
    assert {own_tests(type(experiment.model)) for experiment in experiments} == NETWORKS
    assert {type(experiment.augmentation).__name__ for experiment in experiments} == {"tuple", "ImageDataGenerator"}


@pytest.mark.parametrize("own", FILES, ids=lambda own: own.__name__)
def test_a_run_that_was_cut_ends_with_the_same_bits(tmp_path, own):
    from kerasrun.engine.state import from_hdf5
    from kerasrun.runs import checkpoints

    train_whole_and_cut(tmp_path, f"{own.short_experiment(tmp_path)}\nfit: {{epochs: 3, batch_size: 25}}\n")
    kerasrun.resume(tmp_path / "cut" / "run-1")
    whole, cut = (open_run(tmp_path / name / "run-1") for name in ("whole", "cut"))
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    first, second = (from_hdf5(checkpoints.newest(run).state_file) for run in (whole, cut))
    assert {name: array.tobytes() for name, array in first.items()} == {
        name: array.tobytes() for name, array in second.items()
    }
