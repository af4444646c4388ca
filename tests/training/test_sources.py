"""Where the examples come from, and whether they are in memory, changes no bit of a run, cut or whole."""

import h5py
import numpy as np
import pytest

import kerasrun
from tests.training.exactness import DIGITS, variables_digest
from tests.training.whole_and_cut import train_cut

pytestmark = pytest.mark.tensorflow

EXPERIMENT = """
data: {data}
model: {{layers: [Rescaling: {{scale: 0.01}}, Dense: {{units: 8, activation: relu}}, Dropout: {{rate: 0.3}}]}}
compile: {{optimizer: Adam}}
fit: {{batch_size: 17, epochs: 3, validation_split: 0.2}}
"""


def write_csv(folder, x, y, weight):
    table = np.column_stack([x, y, weight])
    header = ",".join([*(f"pixel{number}" for number in range(x.shape[1])), "class", "weight"])
    np.savetxt(folder / "rows.csv", table, fmt="%.9g", delimiter=",", header=header, comments="")
    return "{csv: {train: rows.csv, label: class, sample_weight: weight}}"


def write_npy(folder, x, y, weight):
    for name, array in (("x", x), ("y", y), ("weight", weight)):
        np.save(folder / f"{name}.npy", array)
    return "{npy: {x_train: x.npy, y_train: y.npy, sample_weight: weight.npy}}"


def write_hdf5(folder, x, y, weight):
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("x_train", data=x, chunks=(8, x.shape[1]), compression="gzip")
        file.update({"y_train": y, "weight": weight})
    return "{hdf5: {path: a.h5, sample_weight: weight}}"


def write_npz(folder, x, y, weight):
    np.savez(folder / "a.npz", x_train=x, y_train=y, weight=weight)
    return "{npz: {path: a.npz, sample_weight: weight}}"


def rows():
    with np.load(DIGITS) as digits:
        x, y = digits["x_train"][:90, ::4, ::4].reshape(90, -1).astype(np.float32), digits["y_train"][:90]
    return x, y, np.where(y < 5, 1, 2.5).astype(np.float32)


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory):
    """The same run with its rows in memory, never cut."""
    folder = tmp_path_factory.mktemp("npz")
    (folder / "run.yaml").write_text(EXPERIMENT.format(data=write_npz(folder, *rows())))
    return kerasrun.train(folder / "run.yaml", output=folder)


@pytest.mark.long
@pytest.mark.parametrize("write", [write_csv, write_npy, write_hdf5])
def test_rows_that_stay_in_their_file_give_the_bits_of_rows_in_memory_after_a_resume(
    write, in_memory, tmp_path, caplog
):
    caplog.set_level("INFO", logger="kerasrun")
    train_cut(tmp_path, f"{EXPERIMENT.format(data=write(tmp_path, *rows()))}cache: {{memory: 0}}\n")
    assert "the examples do not fit into cache.memory: they are read from their files in each epoch" in caplog.text
    run = kerasrun.resume(tmp_path / "cut" / "run-1")
    assert variables_digest(run.last_model) == variables_digest(in_memory.last_model)
    assert run.metrics_file.read_bytes() == in_memory.metrics_file.read_bytes()


def test_weights_of_examples_count_in_training(in_memory, tmp_path):
    (tmp_path / "run.yaml").write_text(EXPERIMENT.format(data=write_npz(tmp_path, *rows())))
    plain = kerasrun.train(tmp_path / "run.yaml", overrides=["data.npz.sample_weight=null"], output=tmp_path)
    assert variables_digest(plain.last_model) != variables_digest(in_memory.last_model)


@pytest.mark.long
@pytest.mark.parametrize("form", ["table", "list"])
def test_images_that_a_table_lists_give_the_bits_of_class_folders_also_after_a_resume(tmp_path, form):
    text = """
data: {data}
model: {{layers: [Flatten, Dense: {{units: 8, activation: relu}}, Dropout: {{rate: 0.3}}]}}
augmentation: [RandomTranslation: {{height_factor: 0.1, width_factor: 0.1}}]
fit: {{batch_size: 64, epochs: 3, validation_split: 0.2}}
"""
    png = DIGITS.parent / "png"
    (tmp_path / "folders.yaml").write_text(text.format(data=f"{{directory: {{path: {png}, color_mode: grayscale}}}}"))
    folders = kerasrun.train(tmp_path / "folders.yaml", output=tmp_path)
    files = {name: sorted((png / name).rglob("*.png")) for name in ("train", "test")}
    if form == "list":
        for name, listed in files.items():
            rows = [f"{file.relative_to(png).with_suffix('')} {file.parent.name}" for file in listed]
            (tmp_path / f"{name}.txt").write_text("\n".join(rows))
        table = f"train: train.txt, test: test.txt, folder: {png}"
    else:
        rows = [f"{file.parent.name},{name},{file}" for name, listed in files.items() for file in listed]
        (tmp_path / "digits.csv").write_text("\n".join(["digit,part,file", *rows]))
        table = f"train: digits.csv, label: digit, split: part, folder: {png}"
    train_cut(tmp_path, text.format(data=f"{{image_table: {{{table}, color_mode: grayscale}}}}"))
    run = kerasrun.resume(tmp_path / "cut" / "run-1")
    assert run.metrics_file.read_bytes() == folders.metrics_file.read_bytes()
    assert variables_digest(run.last_model) == variables_digest(folders.last_model)
