"""Every shipped experiment explains itself and trains."""

import re
from pathlib import Path

import pytest

import kerasrun
from tests.grids import rest_is_long

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
IDS = [file.stem for file in CONFIGS]
BRIEF = {"lenet_idx", "linear_regression", "table_customers", "unet_masks"}
BRIEF_FIRST = sorted(CONFIGS, key=lambda file: file.stem not in BRIEF)


def test_the_experiments_were_found():
    assert {"lenet_directory", "lenet_idx", "mlp_npz", "vgg16_finetune", "cnn_layers", "step_decay"} <= set(IDS)
    assert {"linear_regression", "table_csv", "hdf5_larger_than_memory", "mlp_400"} <= set(IDS)
    assert {"cnn_dropout", "cnn_small", "happy_model", "mobilenet_two_stages"} <= set(IDS)
    assert {
        "lenet_augmented",
        "unet_masks",
        "two_outputs",
        "images_multi_label",
        "images_regression",
        "grouped_split",
        "gru_digits",
        "own_source",
        "unet_hdf5",
        "image_and_columns",
        "autoencoder_digits",
        "denoise_digits",
    } <= set(IDS)


@pytest.mark.parametrize("file", CONFIGS, ids=IDS)
def test_its_header_has_the_command_and_the_measured_result(file):
    header = re.match(r"(#.*\n)+", file.read_text(encoding="utf-8"))
    assert header, "no header comment"
    assert f"kerasrun train configs/{file.name}" in header[0]
    measured = r"(accuracy|slope|R²) of about [01]\.\d+"
    assert re.search(measured, header[0]), "the header does not say what was measured"


@pytest.mark.parametrize("file", CONFIGS, ids=IDS)
def test_it_has_no_mistakes(file):
    assert kerasrun.load(file).experiment.name == file.stem


@pytest.mark.tensorflow
@pytest.mark.parametrize("file", rest_is_long(BRIEF_FIRST, len(BRIEF)), ids=lambda file: file.stem)
def test_it_trains_a_few_steps(file, tmp_path):
    experiment = kerasrun.load(file).experiment
    kept = [f"stages.{stage}.epochs=1" for stage in range(len(experiment.stages))] or ["fit.epochs=1"]
    kept += ["fit.batch_size=16", f"data.{experiment.data.kind}.limit=60"]
    kept += ["data.directory.image_size=[32, 32]"] if "mobilenet" in file.stem else []
    run = kerasrun.train(file, overrides=kept, output=tmp_path)
    assert run.read_run()["status"] == "finished"
    assert run.best_model.exists()


@pytest.mark.tensorflow
def test_linear_regression_finds_the_line(tmp_path):
    import keras

    run = kerasrun.train(CONFIGS[IDS.index("linear_regression")], output=tmp_path)
    kernel, bias = keras.saving.load_model(run.best_model).get_weights()
    assert kernel.item() == pytest.approx(0.5, abs=0.02)
    assert bias.item() == pytest.approx(2, abs=0.02)
