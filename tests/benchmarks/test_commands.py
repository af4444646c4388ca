import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import accuracy, evaluation, finetune, photos, training
from kerasrun.experiment.load import load

FOLDER = Path(training.__file__).parent
BENCHMARKS = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
EXPERIMENTS = sorted((FOLDER / "experiments").glob("*.yaml"))
PEERS = sorted(
    {
        *training.PEERS,
        *(name for name, *_ in (*photos.CHANGED.values(), *photos.UNCHANGED.values(), *photos.DECODED.values())),
        evaluation.EVALUATING_AGAIN,
        *evaluation.EVALUATING.values(),
        *evaluation.PREDICTING.values(),
    }
)
# It is compared with a script also by what it finds in the images that validate.
COMPARED_ON_VALIDATION = "unet_membrane.yaml"


def test_there_are_benchmarks_and_experiments():
    assert BENCHMARKS
    assert EXPERIMENTS


@pytest.mark.parametrize("name", [*BENCHMARKS, "__main__"])
def test_help_is_there_and_imports_no_tensorflow(name):
    code = (
        f"import sys, benchmarks.{name} as benchmark\n"
        "try: benchmark.main(['--help'])\n"
        "finally: print('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parent, capture_output=True, text=True, check=True)
    command = "benchmarks" if name == "__main__" else f"benchmarks.{name}"
    assert f"python -m {command}" in done.stdout.split("Example: ")[1]
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda path: path.name)
def test_experiment_has_no_mistakes_and_validates_on_nothing_where_time_counts(file):
    fit = load(file).experiment.fit
    assert (fit.validation_split is None) == (file.name != COMPARED_ON_VALIDATION)
    assert fit.validation_data is None


@pytest.mark.parametrize("network", accuracy.BATCH_SIZES)
def test_experiment_has_the_batch_size_of_the_script_beside_it(network):
    assert (
        load(FOLDER / "experiments" / f"{network}_mnist.yaml").experiment.fit.batch_size
        == (accuracy.BATCH_SIZES[network])
    )


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_is_a_script(name):
    assert (FOLDER / "peers" / f"{name}.py").is_file()


def test_accuracies_are_compared_by_their_medians():
    rows = accuracy.table_rows([1, 2, 3], [[0.98, 0.9, 0.97], [0.99, 0.9, 0.98], [0.97, 0.9, 0.975]])
    assert rows[0] == ["seed 1", "0.9800", "0.9000", "0.9700", "+1.00"]
    assert rows[-1] == ["median", "0.9800", "0.9000", "0.9750", "+0.50"]


def test_photos_are_changed_as_in_the_script_beside_it():
    """The arguments in the experiment are those that the peer has."""
    generator = load(photos.EXPERIMENT).experiment.augmentation
    script = (FOLDER / "peers" / f"{photos.GENERATOR}.py").read_text()
    names = generator.model_fields_set - {"rescale"}
    assert names
    for name in names:
        assert f"{name}={getattr(generator, name):g}," in script.replace("=True", "=1")


@pytest.mark.parametrize("network", finetune.NETWORKS)
def test_what_is_frozen_is_so_in_the_experiment(network):
    model = load(FOLDER / "experiments" / f"{network}_cats_dogs.yaml").experiment.model
    assert (model.kind, model.trainable) == (finetune.NETWORKS[network], False)


@pytest.mark.parametrize("name", ["training", "photos", "finetune", "unet", "accuracy", "evaluation"])
def test_a_folder_that_is_not_there_is_told_before_anything_is_measured(name, tmp_path, capsys):
    benchmark = importlib.import_module(f"benchmarks.{name}")
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(["--data", str(tmp_path / "gone")])
    assert "gone: no such folder" in capsys.readouterr().err
