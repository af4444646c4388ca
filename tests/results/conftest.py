"""One trained run on image files, for all tests of results."""

from pathlib import Path

import pytest

import kerasrun

PNG = Path(__file__).parents[2] / "data" / "digits" / "png"


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    file = folder / "small.yaml"
    file.write_text(
        f"data: {{directory: {{path: {PNG}, color_mode: grayscale}}}}\nmodel: LeNet\n"
        "compile: {optimizer: {Adam: {learning_rate: 0.002}}, metrics: [accuracy, AUC]}\n"
        "fit: {epochs: 2, batch_size: 32, validation_split: 0.1}\ncallbacks: [TensorBoard]\n",
        encoding="utf-8",
    )
    return kerasrun.train(file, output=folder / "runs")


@pytest.fixture(scope="session")
def png():
    return PNG
