"""Every kind of data, division and network, and both forms of augmentation: cut, resumed, and the same bits as uncut.

The test file of each network has `short_experiment(folder)`: it writes what it needs, and returns the text of an
experiment with some sixty examples. So has that of a source, unless a network's experiment reads its data, and that of
a task whose labels are read as examples are. Callbacks,
optimizers and schedules go through the same in `tests/torture`.
"""

import importlib

import pytest
from PIL import Image

import kerasrun
from kerasrun.components import kinds
from kerasrun.experiment.load import parse
from kerasrun.runs.directory import open_run
from kerasrun.sources._division import DividedTable
from kerasrun.sources.base import Source
from kerasrun.tasks.base import task_names
from tests.families import own_tests
from tests.sources.pixels import pixels
from tests.training.whole_and_cut import train_whole_and_cut

pytestmark = pytest.mark.tensorflow
NETWORKS = {own_tests(kind) for kind in kinds("kerasrun.models").values()}
SOURCES = {own_tests(kind) for kind in kinds("kerasrun.sources").values()}
TASKS = {importlib.import_module(f"tests.tasks.test_{name}") for name in task_names()}
OTHERS = {one for one in SOURCES | TASKS if hasattr(one, "short_experiment")}
FILES = sorted(NETWORKS | OTHERS, key=lambda one: one.__name__)


def test_every_family_is_here(tmp_path):
    """Found by listing its folder: a file of tests without an experiment would be noticed."""
    pytest.importorskip("pyarrow")
    experiments = [parse(own.short_experiment(tmp_path), tmp_path / "run.yaml").experiment for own in FILES]
    assert {experiment.data.kind for experiment in experiments} == kinds("kerasrun.sources").keys()
    assert {own_tests(type(experiment.model)) for experiment in experiments} == NETWORKS
    assert {"arrays", "classes", "masks"} <= {experiment.data.label_kind for experiment in experiments}
    assert {type(experiment.augmentation).__name__ for experiment in experiments} == {"tuple", "ImageDataGenerator"}


@pytest.mark.long
@pytest.mark.parametrize("own", FILES, ids=lambda own: own.__name__)
def test_a_run_that_was_cut_ends_with_the_same_bits(tmp_path, own):
    ends_with_the_same_bits(tmp_path, f"{own.short_experiment(tmp_path)}\nfit: {{epochs: 3, batch_size: 25}}\n")


@pytest.mark.long
@pytest.mark.parametrize("key", ["", *(key for key in DividedTable.model_fields if key not in Source.model_fields)])
def test_a_run_whose_data_came_in_one_piece_does_so_however_they_are_divided(tmp_path, key):
    rows = [f"{number}.png,{number % 7},{number % 2}" for number in range(60)]
    for number in range(60):
        Image.fromarray(pixels(number)).save(tmp_path / f"{number}.png")
    (tmp_path / "photos.csv").write_text("\n".join(["file,mark,class", *rows]))
    division = f", {key}: mark" if key else ""
    text = f"""
data: {{image_table: {{train: photos.csv, label: class{division}}}}}
model: {{layers: [Flatten, Dense: {{units: 4}}, Dropout: {{rate: 0.2}}]}}
fit: {{epochs: 3, batch_size: 25, validation_split: 0.2, test_split: 0.2}}
"""
    run = ends_with_the_same_bits(tmp_path, text)
    test = {row.split(".")[0] for row in run.test_examples_file.read_text().splitlines()[1:]}
    counts = run.read_run()["examples"]
    assert len(test) + counts["train"] + counts["validation"] == 60
    report = kerasrun.evaluate(run)
    assert (report.split, report.examples) == ("test", len(test))
    marks = {int(name) % 7 for name in test}
    if key == "group":
        assert {int(number) for number in range(60) if number % 7 in marks} == set(map(int, test))
    if key == "time":
        assert marks == set(range(min(marks), 7))
    with pytest.raises(kerasrun.errors.UsageError, match=r"cannot change fit\.test_split"):
        kerasrun.resume(run, overrides=["fit.test_split=0.3"])


def ends_with_the_same_bits(tmp_path, text):
    from kerasrun.engine.state import from_hdf5
    from kerasrun.runs import checkpoints

    train_whole_and_cut(tmp_path, text)
    kerasrun.resume(tmp_path / "cut" / "run-1")
    whole, cut = (open_run(tmp_path / name / "run-1") for name in ("whole", "cut"))
    assert cut.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    first, second = (from_hdf5(checkpoints.newest(run).state_file) for run in (whole, cut))
    assert {name: array.tobytes() for name, array in first.items()} == {
        name: array.tobytes() for name, array in second.items()
    }
    return whole
