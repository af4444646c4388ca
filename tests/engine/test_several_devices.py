"""Training on several devices, tried with logical CPU devices: no GPU is needed, and none was used."""

import pytest

from kerasrun.engine.devices import Device, strategy
from kerasrun.errors import DeviceError
from kerasrun.runs.metrics import Table
from tests import forked

THREADS = {"intra_op": 2, "inter_op": 2}

TRAIN_ON = """
import sys
from pathlib import Path
import tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import kerasrun
from kerasrun.engine import devices
names = tuple(sys.argv[1].split(","))
devices.choose = lambda gpus, request, threads: devices.Device("cpu", names, "logical CPUs", threads)
run = kerasrun.train(Path("small.yaml"), output=Path(sys.argv[1]))
kerasrun.evaluate(run)
"""


@pytest.mark.tensorflow
def test_two_devices_learn_what_one_learns(tmp_path, digits):
    """Without dropout or batch normalization a batch has the same mean gradient however it is shared."""
    (tmp_path / "small.yaml").write_text(
        "data: {npz: {path: digits.npz}}\nmodel: {MLP: {units: [8]}}\n"
        "compile: {optimizer: {SGD: {learning_rate: 0.1}}}\nfit: {epochs: 3, batch_size: 40, "
        "validation_data: test, class_weight: balanced}\n",
        encoding="utf-8",
    )
    tables = []
    for names in ("CPU:0", "CPU:0,CPU:1"):
        done = forked.run(["-c", TRAIN_ON, names], tmp_path)
        assert done.returncode == 0, done.stderr
        tables.append(Table(tmp_path / names / "small-1" / "metrics.csv").rows())
    assert len(tables[0]) == 3
    for one, two in zip(*tables, strict=True):
        assert two == pytest.approx(one, rel=1e-4)


def test_a_device_without_an_example_is_an_error():
    with pytest.raises(DeviceError, match=r"81 examples in batches of 40 has 1, fewer than the 2 devices"):
        strategy(Device("cpu", ("CPU:0", "CPU:1"), "", THREADS), examples=81, batch_size=40)


def test_one_device_needs_no_strategy():
    assert strategy(Device("cpu", ("CPU:0",), "", THREADS), examples=81, batch_size=40) is None
