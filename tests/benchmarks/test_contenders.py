"""What the benchmarks make of what contenders report; nothing trains."""

import numpy as np
import pytest

from benchmarks import _workers, finetune, photos, scaling, training, workers
from benchmarks._commands import Finished
from benchmarks._mnist import write_mnist

OURS = "kerasrun"


@pytest.fixture
def reported(monkeypatch):
    """Kerasrun takes a second for 100 images, half of it without saving; everybody else takes two."""
    commands = {}

    def measure(contenders, rounds, folder, told):
        del folder, told
        commands.update(contenders)
        ours = {"seconds": 1.0, "without_saving": 0.5, "images": 100, "val_accuracy": 0.75}
        return {name: [ours if name == OURS else {**ours, "seconds": 2.0}] * rounds for name in contenders}

    monkeypatch.setattr(_workers, "measure", measure)
    return commands


def rows(printed):
    """The cells of each line of the tables, by the first one."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("|")]
    return {name: cells for name, *cells in lines}


def test_training_is_compared_in_images_a_second(tmp_path, reported, capsys):
    data = write_mnist(tmp_path / "idx", np.zeros((3, 28, 28), np.uint8), np.arange(3, dtype=np.uint8))
    training.main(["--data", str(data), "--rounds", "2", "--network", "mlp"])
    table = rows(capsys.readouterr().out)
    assert table[OURS] == ["100", "100–100", "", ""]
    assert table[training.OURS_WITHOUT_SAVING][0] == "200"
    assert table["fit on arrays"] == ["50", "50–50", "2.00", "2.00–2.00"]
    assert all("mlp" in " ".join(command) for command in reported.values())


def test_without_pytorch_the_others_are_compared(tmp_path, reported, monkeypatch, capsys):
    monkeypatch.setattr(training, "is_installed", lambda module: False)
    data = write_mnist(tmp_path / "idx", np.zeros((3, 28, 28), np.uint8), np.arange(3, dtype=np.uint8))
    training.main(["--data", str(data), "--rounds", "1"])
    table = rows(capsys.readouterr().out)
    assert training.PEERS["torch_eager"] not in table
    assert training.PEERS["fused_step"] in table


def test_photos_that_are_not_kept_are_decoded_exactly_and_scaled(tmp_path, reported, monkeypatch, capsys):
    monkeypatch.setattr(photos, "is_installed", lambda module: True)
    photos.main(["--data", str(tmp_path), "--rounds", "1"])
    exact, scaled = reported[OURS], reported[photos.OURS_SCALED]
    assert "cache.memory=0" in exact
    assert scaled == [*exact, "--set", "data.directory.decode=scaled"]
    assert "cache.disk=auto" in reported[photos.OURS_ON_DISK]
    assert rows(capsys.readouterr().out)["PyTorch DataLoader, two workers"][0] == "50"


def test_without_torch_photos_are_decoded_by_the_others(tmp_path, reported, monkeypatch):
    monkeypatch.setattr(photos, "is_installed", lambda module: module != "torch")
    photos.main(["--data", str(tmp_path), "--rounds", "1"])
    assert [name for name in photos.DECODED if name not in reported] == ["PyTorch DataLoader, two workers"]


def test_without_scipy_photos_are_changed_by_the_others(tmp_path, reported, monkeypatch, capsys):
    monkeypatch.setattr(photos, "is_installed", lambda module: False)
    photos.main(["--data", str(tmp_path), "--rounds", "1"])
    generator, layers = photos.CHANGED
    assert generator not in reported
    assert layers in reported
    assert all(name in reported for name in photos.UNCHANGED)


def test_fine_tuning_is_compared_in_seconds_with_the_accuracy_of_both(tmp_path, reported, capsys):
    finetune.main(["--data", str(tmp_path), "--rounds", "1", "--network", "vgg16"])
    table = rows(capsys.readouterr().out)
    assert table[OURS] == ["1.00", "1.00–1.00", "", "", "0.7500"]
    assert table[finetune.SCRIPT] == ["2.00", "2.00–2.00", "2.00", "2.00–2.00", "0.7500"]


def test_the_first_step_is_told_with_and_without_what_no_start_can_do_without(reported, monkeypatch, capsys):
    ours = "benchmarks._kerasrun_first_step"
    monkeypatch.setattr(scaling, "run", lambda command: Finished("", 3.0 if ours in command else 0.5, 0))
    scaling.main(["--images", "10", "--rounds", "1"])
    table = rows(capsys.readouterr().out)
    assert table["1 PNG files"] == ["3.00", "3.00–3.00", "0.50", "2.50", "2.50–2.50"]
    assert [name for name in table if name.endswith(" images")] == ["10 images", "100 images", "1,000 images"]


def test_a_step_of_several_processes_has_its_milliseconds_and_the_bytes_sent(tmp_path, monkeypatch, capsys):
    sent = iter(range(0, 10**9, 4_000_000))  # of the 4 epochs of 10 steps
    (tmp_path / "timings.csv").write_text("seconds\n9\n0.02\n0.02\n0.02\n")
    told = "".join(f'epoch: {{"seconds": {seconds}}}\n' for seconds in (9, 0.04, 0.04, 0.04))
    monkeypatch.setattr(workers, "_leave_the_network", lambda: None)
    monkeypatch.setattr(workers, "_sent", lambda: next(sent))
    monkeypatch.setattr(workers, "is_installed", lambda module: module == "torch")
    monkeypatch.setattr(
        workers, "run", lambda command: Finished(told if "peers" in " ".join(command) else f"{tmp_path}\n", 0, 0)
    )
    workers.main(["--images", "1280", "--rounds", "1", "--network", "mlp"])
    table = rows(capsys.readouterr().out)
    assert table["2 workers"] == ["2.0", "2.0–2.0", "1.00", "1.00–1.00", "100"]
    assert table["PyTorch DDP, gloo, 4"] == ["4.0", "4.0–4.0", "2.00", "2.00–2.00", "100"]
    assert not [name for name in table if "Strategy" in name]
