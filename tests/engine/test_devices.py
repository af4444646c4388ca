"""Which device is used, and that only real errors of the start reach the user."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import kerasrun
from kerasrun.engine.devices import _models, _require_threads, choose
from kerasrun.errors import DeviceError, OutOfMemoryError
from tests import forked
from tests.training.exactness import DIGITS

THREADS = {"intra_op": 2, "inter_op": 2}
GPUS = ["first", "second"]


@pytest.mark.parametrize(
    ("gpus", "request_", "names"),
    [
        ([], "auto", ("CPU:0",)),
        ([], "cpu", ("CPU:0",)),
        (GPUS, "cpu", ("CPU:0",)),
        (GPUS, "auto", ("GPU:0",)),
        (GPUS, "gpu", ("GPU:0",)),
        (GPUS, (1,), ("GPU:1",)),
    ],
)
def test_the_device_that_was_asked_for_is_used(gpus, request_, names):
    assert choose(gpus, request_, THREADS).names == names


def test_each_of_several_gpus_has_a_process_that_sees_no_other():
    assert choose(GPUS[:1], (1, 2), THREADS).names == ("GPU:0",)


def test_several_gpus_are_not_for_one_process(tmp_path):
    (tmp_path / "a.yaml").write_text(f"data: {{npz: {{path: {DIGITS}}}}}\nmodel: LeNet\ndevice: [0, 1]\n")
    with pytest.raises(DeviceError, match="each GPU has a process of its own"):
        kerasrun.train(tmp_path / "a.yaml", output=tmp_path)


@pytest.mark.parametrize("request_", ["gpu", (0,), (0, 1)])
def test_a_gpu_that_is_not_there_is_an_error(request_):
    with pytest.raises(DeviceError, match="sees no GPU"):
        choose([], request_, THREADS)


def test_a_gpu_number_that_is_not_there_is_an_error():
    with pytest.raises(DeviceError, match="no GPU 2; TensorFlow sees 2, numbered from 0 to 1"):
        choose(GPUS, (2,), THREADS)


def test_the_models_of_the_chosen_gpus_are_recorded():
    class Experimental:
        def get_device_details(self, gpu):
            return {"device_name": f"the {gpu}"}

    class Config:
        experimental = Experimental()

        def list_physical_devices(self, kind):
            return GPUS

    tensorflow = SimpleNamespace(config=Config())
    assert _models(tensorflow, choose(GPUS, (1,), THREADS)) == ("the second",)
    assert _models(tensorflow, choose(GPUS, "cpu", THREADS)) == ()


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def started():
    """A process that started TensorFlow and then told of itself."""
    return run(
        "from kerasrun.engine import devices; devices.start()\n"
        "import json, sys; from tensorflow.python.framework.config import is_op_determinism_enabled\n"
        "loaded = sorted({'keras', 'matplotlib', 'sklearn'} & set(sys.modules))\n"
        "import matplotlib.pyplot\n"
        "import gc; frozen = gc.get_freeze_count() > 100_000 and gc.isenabled()\n"
        "print(json.dumps({'loaded': loaded, 'frozen': frozen, 'deterministic': is_op_determinism_enabled()}))\n"
        "print('after', file=sys.stderr)"
    )


def run_forked(code):
    return forked.run(["-c", code], Path.cwd())


@pytest.mark.long
@pytest.mark.tensorflow
def test_tensorflows_start_says_nothing(started):
    assert (started.returncode, started.stderr) == (0, "after\n")


@pytest.mark.tensorflow
def test_keras_is_imported_without_what_it_does_not_need(started):
    assert json.loads(started.stdout)["loaded"] == ["keras"]


@pytest.mark.tensorflow
def test_what_an_import_makes_is_not_looked_through_for_garbage(started):
    assert json.loads(started.stdout)["frozen"]


def started_with(code, **environment):
    """What TF_ENABLE_ONEDNN_OPTS is after `code`, where TensorFlow is not looked at."""
    code = f"import os\nfrom kerasrun.engine import devices\n{code}\nprint(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))"
    without = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=without | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(("machine", "set_to"), [("x86_64", "1"), ("AMD64", "1"), ("arm64", "None")])
def test_onednn_computes_where_it_is_known_to_be_faster(machine, set_to):
    code = f"devices.platform.machine = lambda: {machine!r}\ndevices._compute_with_onednn()"
    assert started_with(code) == set_to


def test_who_chooses_the_kernels_has_them():
    assert started_with("devices._compute_with_onednn()", TF_ENABLE_ONEDNN_OPTS="0") == "0"


@pytest.mark.long
@pytest.mark.tensorflow
def test_a_resumed_run_keeps_the_kernels_that_tensorflow_chose_for_it():
    assert started_with("devices.start(variables={'TF_ENABLE_ONEDNN_OPTS': None})") == "None"


HELD_BACK = "import os\nfrom kerasrun.engine.devices import _held_back_stderr\nwith _held_back_stderr():\n    "


def test_fewer_threads_than_tensorflow_begins_are_told(monkeypatch):
    begin, before = threading.Thread.start, threading.active_count()

    def begin_three(thread):
        if threading.active_count() == before + 3:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", begin_three)
    with pytest.raises(OutOfMemoryError, match=r"it takes 6 threads, and only 3 can be begun; raise .*ulimit -u"):
        _require_threads(6)
    _require_threads(3)
    assert threading.active_count() == before


def test_noise_is_dropped_when_the_start_succeeds():
    assert run(HELD_BACK + "os.write(2, b'noise')").stderr == ""


def test_what_was_written_is_passed_on_when_the_start_fails():
    assert "the reason" in run(HELD_BACK + "os.write(2, b'the reason'); raise SystemExit(1)").stderr


def test_what_was_written_is_passed_on_when_the_process_aborts():
    done = run(HELD_BACK + "os.write(2, b'the reason'); os.abort()")
    assert done.returncode < 0
    assert "the reason" in done.stderr


@pytest.mark.tensorflow
def test_other_threads_than_those_of_the_process_are_an_error():
    code = (
        "from kerasrun.engine import devices; devices.start(threads={'intra_op': 1, 'inter_op': 1});"
        "devices.start(threads={'intra_op': 2, 'inter_op': 1})"
    )
    assert "a process of its own" in run_forked(code).stderr


@pytest.mark.tensorflow
def test_a_process_that_already_uses_tensorflow_may_call_kerasrun():
    code = "import tensorflow as tf; tf.constant(0.0) + 1; from kerasrun.engine import devices; devices.start()"
    assert run_forked(code).returncode == 0


@pytest.mark.tensorflow
def test_a_refused_device_does_not_settle_how_the_process_computes():
    from kerasrun.engine import devices

    before = devices._process_is_deterministic
    with pytest.raises(DeviceError, match="no GPU"):
        devices.start((99,), deterministic=False)
    assert devices._process_is_deterministic is before


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")
def test_threads_follow_the_cores_that_the_process_may_use():
    from kerasrun.reading.inputs import usable_cores

    assert usable_cores() == len(os.sched_getaffinity(0))


@pytest.mark.tensorflow
def test_operations_are_deterministic_by_default(started):
    assert json.loads(started.stdout)["deterministic"]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("devices.start(deterministic=True)", "False"),
        ("devices.start(deterministic=False)", "True"),
        ("import tensorflow as tf; tf.config.experimental.enable_op_determinism()", "False"),
    ],
)
def test_a_process_computes_deterministically_from_its_start_or_never(before, wanted):
    done = run_forked(f"from kerasrun.engine import devices; {before}; devices.start(deterministic={wanted})")
    assert f"deterministic: {wanted.lower()} is asked for: call kerasrun in a process of its own" in done.stderr
