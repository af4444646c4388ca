"""Start TensorFlow quietly and choose where to compute. Light to import: TensorFlow is imported in `start`.

Not run on a GPU yet: the choice is tested with several logical CPU devices.
"""

import contextlib
import logging
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from kerasrun.collector import uncollected
from kerasrun.errors import MORE_MEMORY, DeviceError, OutOfMemoryError, within_memory
from kerasrun.reading.inputs import usable_cores
from kerasrun.reading.memory import addresses_left
from kerasrun.runs.environment import check_variables
from kerasrun.runs.records import DeviceRecord
from kerasrun.stderr import say_before_waiting
from kerasrun.user_folders import keras_home
from kerasrun.workers.arrival import wait_for_all
from kerasrun.workers.child_processes import deaf_children
from kerasrun.workers.cluster import ONE_PROCESS, Place

# What TensorFlow says where nobody set the number of threads: it takes one for each usable core.
AUTOMATIC = 0
# What `import keras` imports where it is installed, for its wrappers of scikit-learn and galleries of images, which
# nothing here uses. It makes up for their absence, and saves up to half of the time.
NEEDLESS = ("sklearn", "matplotlib")

# With fewer it fails in many ways, of which some end the process without a word.
_ADDRESSES = 1.7e9

_THREADS_BESIDE = 2
"""How many threads and processes are begun while it starts, beside those that compute."""

DeviceRequest = Literal["auto", "cpu", "gpu"] | tuple[int, ...]

# Reads what is written to descriptor 2 until its end. The last byte says whether the start succeeded; if it is
# missing, the process failed or was aborted, and everything is passed on.
_WATCHER = """
import sys
text = sys.stdin.buffer.read()
if not text.endswith(b"\\0"):
    sys.stderr.buffer.write(text)
"""


@dataclass(frozen=True)
class Device:
    """The devices that a run computes on."""

    kind: Literal["cpu", "gpu"]
    names: tuple[str, ...]
    """TensorFlow's names, such as `GPU:0`."""
    description: str
    """One line for the user."""
    threads: Mapping[str, int]
    """`intra_op` and `inter_op`: training bits depend on the first."""
    models: tuple[str, ...] = ()
    """The model names of the GPUs, one for each."""
    deterministic: bool = True
    """Whether it computes the same bits each time."""
    place: Place = ONE_PROCESS
    """Which of the processes that train together this is."""

    def recorded(self) -> DeviceRecord:
        """Return what `run.json` keeps of it."""
        return {
            "kind": self.kind,
            "count": len(self.names),
            "names": list(self.names),
            "models": list(self.models),
            "threads": dict(self.threads),
            "deterministic": self.deterministic,
        }


def start(
    request: DeviceRequest = "auto",
    threads: Mapping[str, int] | None = None,
    deterministic: bool | None = None,
    *,
    variables: Mapping[str, str | None] | None = None,
    unless_set: bool = False,
    place: Place = ONE_PROCESS,
    shards: int | None = None,
) -> Device:
    """Import TensorFlow and Keras without their start-up noise and make the asked-for devices usable.

    Args:
        threads: the thread counts to use, e.g. those of the run that is resumed; by default one for each core that
            this process may use.
        deterministic: whether the bits of a result must not vary from run to run; by default as this process began,
            and yes where it begins here.
        variables: those of the environment that change bits, as a run had them which is resumed or looked at (None for
            one that was not there); by default those of this process, and oneDNN.
        unless_set: leave those as they are that the environment has, for what need not end with the same bits.
        place: which of several processes that compute together this is; it joins the others, and waits for them.
        shards: into how many parts each batch will be cut; by default one for each process that trains. Without
            `threads` each has as many threads as if it had a process of its own, so that the bits are the same.

    Raises:
        DeviceError: if a GPU was asked for that is not there, or TensorFlow is already using other threads, or
            deterministic operations where others are wanted or the other way round; or if TensorFlow would run code
            that lies in the working directory.
        OutOfMemoryError: if it finds no memory to start.
        LostWorkerError: if another process that trains with this one has not come in time.
        WorkersError: if the processes that have come contradict each other.
    """
    # Errors too: what matters is raised, and oneDNN writes a line for each kernel that it does not have.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    first_start = "tensorflow" not in sys.modules
    if first_start and (left := addresses_left()) < _ADDRESSES:
        raise OutOfMemoryError(
            f"starting TensorFlow: it takes {_ADDRESSES / 1e9} GB of addresses, and the limit of this process leaves "
            f"{left / 1e9:.1f} GB; raise it (ulimit -v)"
        )
    _require_no_kernels()
    set_variables(variables, unless_set=unless_set)
    chosen = dict(threads or _threads(usable_cores(), place, shards or place.count))
    if first_start:
        _require_threads(sum(chosen.values()) + _THREADS_BESIDE)
        say_before_waiting("loading TensorFlow")
    needless = NEEDLESS if first_start else ()
    stays = uncollected() if first_start else contextlib.nullcontext()
    enough = within_memory("starting TensorFlow", MORE_MEMORY)
    with _held_back_stderr(first_start), _unimported(*needless), stays, enough:
        with _keras_settings_explained():
            import keras
            import tensorflow as tf

        # The experiment decides, not the settings that a user keeps in keras.json.
        keras.config.set_image_data_format("channels_last")
        keras.config.set_floatx("float32")
        keras.config.set_epsilon(1e-7)

        tf.get_logger().setLevel(logging.WARNING)
        tf.get_logger().addFilter(_is_no_retracing)
        _set_threads(tf, chosen)
        gpus = tf.config.list_physical_devices("GPU")
    # In this order, so that a device that is refused leaves the process free to begin in the other way.
    device = choose(gpus, request, chosen)
    device = replace(device, deterministic=_set_determinism(tf, deterministic), place=place)
    joins = place.count > 1 and not _has_joined
    if joins:
        wait_for_all(place)
    with _held_back_stderr(first_start):
        _prepare(tf, device, joins=joins)
    return replace(device, models=_models(tf, device))


def _require_no_kernels() -> None:
    """Refuse a working directory from which TensorFlow would load libraries, as if they lay beside the program.

    TensorFlow takes the first word of the command line that is not an option as the path of its program: for `python -m
    kerasrun` that is `kerasrun`.
    Source: `LoadDynamicKernelsInternal` in tensorflow/core/framework/op_kernel.cc, and `Env::GetExecutablePath`.

    Raises:
        DeviceError: naming the folder.
    """
    program = next((word for word in sys.orig_argv[1:] if not word.startswith("-")), sys.orig_argv[-1])
    for folder in (f"{program}.runfiles/org_tensorflow", program.rpartition("/")[0] or program):
        kernels = Path(folder, "tensorflow/core/kernels")
        if not kernels.is_absolute() and os.access(kernels, os.F_OK):
            raise DeviceError(
                f"{kernels.absolute()}: TensorFlow would run the libraries in this folder; remove it unless you know "
                "it, or work in another one"
            )


def _require_threads(count: int) -> None:
    """Begin threads and end them: where TensorFlow cannot, it ends the process without a word.

    Raises:
        OutOfMemoryError: if fewer can be begun.
    """
    enough, begun = threading.Event(), []
    try:
        for _ in range(count):
            thread = threading.Thread(target=enough.wait)
            thread.start()
            begun.append(thread)
    except RuntimeError as error:
        raise OutOfMemoryError(
            f"starting TensorFlow: it takes {count} threads, and only {len(begun)} can be begun; raise the limit of "
            "this user (ulimit -u) or container"
        ) from error
    finally:
        enough.set()
        for thread in begun:
            thread.join()


def _is_no_retracing(record: logging.LogRecord) -> bool:
    """Leave out TensorFlow's warning that a function is traced often: each model of a process has its own graphs."""
    return "triggered tf.function retracing" not in str(record.msg)


def _threads(cores: int, place: Place, shards: int) -> dict[str, int]:
    """Share out the cores of a machine to the shards that are computed there, and to the processes that do it."""
    on_host = max(1, shards * place.count_on_host // place.count)
    return {"intra_op": max(1, cores // on_host), "inter_op": max(1, cores // place.count_on_host)}


@contextlib.contextmanager
def _keras_settings_explained() -> Iterator[None]:
    """
    Raises:
        DeviceError: if Keras, or what TensorFlow has left of it, refuses the settings in a user's `keras.json`.
    """
    try:
        yield
    except (AssertionError, AttributeError, TypeError, ValueError) as error:
        file = keras_home() / "keras.json"
        if not os.access(file, os.F_OK):
            raise
        raise DeviceError(
            f"{file}: Keras cannot start with these settings ({str(error) or type(error).__name__}): mend the file or "
            "remove it; no experiment uses it"
        ) from error


def set_variables(variables: Mapping[str, str | None] | None, *, unless_set: bool = False) -> None:
    """Set environment variables for TensorFlow to read when it is imported; arguments as of `start`.

    Where it is loaded already they would do nothing, and stay as they are to be compared.

    Raises:
        RunDirectoryError: if one is not among those that a run records, or its value is a path.
    """
    if "tensorflow" in sys.modules:
        return
    if variables is None:
        _compute_with_onednn()
        return
    check_variables(variables)
    for name, value in variables.items():
        if unless_set and name in os.environ:
            continue
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _compute_with_onednn() -> None:
    """Have oneDNN compute on every x86 processor, unless the environment says otherwise.

    TensorFlow itself chooses it for those with instructions for neural networks (AVX-512 VNNI, AMX). On one that has
    only AVX2 the networks that were tried learn 1.1 to 2.2 times as fast with it: docs/performance.md.
    """
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextlib.contextmanager
def _unimported(*modules: str) -> Iterator[None]:
    """Make imports of these modules fail, unless they are imported already."""
    absent = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None, so the import system says, is a refusal
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def choose(gpus: list[Any], request: DeviceRequest, threads: Mapping[str, int]) -> Device:
    """Decide between the GPUs that are there and the CPU. Of several GPUs that are named each has a process to itself.

    Raises:
        DeviceError: if a GPU was asked for that is not there.
    """
    if request == "cpu" or (request == "auto" and not gpus):
        return Device("cpu", ("CPU:0",), f"CPU, {threads['intra_op']} threads", threads)
    if not gpus:
        raise DeviceError(
            f"device: {_written(request)}: TensorFlow sees no GPU here. If this machine has one, install the extra "
            "(pip install 'kerasrun[gpu]') and check the driver with nvidia-smi; else set device: cpu or auto"
        )
    number = 0 if isinstance(request, str) or len(gpus) == 1 < len(request) else request[0]
    if number >= len(gpus):
        raise DeviceError(
            f"device: {_written(request)}: there is no GPU {number}; TensorFlow sees {len(gpus)}, "
            f"numbered from 0 to {len(gpus) - 1}"
        )
    return Device("gpu", (f"GPU:{number}",), f"GPU:{number}", threads)


def _models(tf: Any, device: Device) -> tuple[str, ...]:
    if device.kind == "cpu":
        return ()
    models = gpu_models(tf)
    return tuple(models[int(name.removeprefix("GPU:"))] for name in device.names)


def gpu_models(tf: Any) -> tuple[str, ...]:
    """Return the model of each GPU that TensorFlow sees, in the order of their numbers."""
    gpus = tf.config.list_physical_devices("GPU")
    return tuple(tf.config.experimental.get_device_details(gpu).get("device_name", "unknown") for gpu in gpus)


_has_joined = False
"""Whether this process is one of a cluster already, which it stays to its end."""


def _prepare(tf: Any, device: Device, *, joins: bool) -> None:
    """Join the others, and use the device once, so that TensorFlow prints all its messages about it now."""
    try:
        if device.kind == "gpu":
            for gpu in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(gpu, True)
        else:
            tf.config.set_visible_devices([], "GPU")
    except RuntimeError as error:
        raise DeviceError(f"TensorFlow already uses other devices in this process: {error}") from error
    if joins:
        global _has_joined
        from kerasrun.workers import collectives

        collectives.join(device.place)
        _has_joined = True
    with tf.device(device.names[0]):
        tf.constant(0.0) + 1.0


def _set_threads(tf: Any, threads: Mapping[str, int]) -> None:
    for name in ("intra_op", "inter_op"):
        get = getattr(tf.config.threading, f"get_{name}_parallelism_threads")
        put = getattr(tf.config.threading, f"set_{name}_parallelism_threads")
        if get() == threads[name]:
            continue
        try:
            put(threads[name])
        except RuntimeError as error:
            if get() == AUTOMATIC and threads[name] == usable_cores():
                continue  # somebody used TensorFlow before us, with as many threads as we want
            raise DeviceError(
                f"TensorFlow was started with {get()} {name} threads in this process, but {threads[name]} are needed: "
                "call kerasrun in a process of its own"
            ) from error


_process_is_deterministic: bool | None = None
"""Whether this process began with deterministic operations; None before TensorFlow was started."""


def _set_determinism(tf: Any, wanted: bool | None) -> bool:
    """Fix the order of additions, on a GPU and on a CPU, unless it may vary; return whether it is fixed.

    TensorFlow has no public way back, and what it has traced and chosen so far would stay as it is.
    """
    global _process_is_deterministic
    # There is no public way to ask; Keras asks there too.
    from tensorflow.python.framework.config import is_op_determinism_enabled

    begun = _process_is_deterministic
    if begun is None and is_op_determinism_enabled():
        begun = True  # by the caller, or by TF_DETERMINISTIC_OPS
    if wanted is None:
        wanted = begun is not False
    if begun is not None and begun != wanted:
        raise DeviceError(
            f"this process has begun with deterministic: {str(begun).lower()}, and TensorFlow cannot change that, but "
            f"deterministic: {str(wanted).lower()} is asked for: call kerasrun in a process of its own, without "
            "TF_DETERMINISTIC_OPS in its environment"
        )
    if wanted:
        tf.config.experimental.enable_op_determinism()
    _process_is_deterministic = wanted
    return wanted


def _written(request: DeviceRequest) -> str:
    return request if isinstance(request, str) else str(list(request))


@contextlib.contextmanager
def _held_back_stderr(needed: bool = True) -> Iterator[None]:
    """Hide what is written to descriptor 2, unless the start fails.

    TensorFlow writes to the descriptor itself, whatever its log level. Another process holds the text, so that it
    is passed on even if this process is aborted.
    """
    if not needed:
        yield
        return
    sys.stderr.flush()
    # A signal meant for this process must not end the watcher before it has spoken.
    with deaf_children():
        watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCHER], stdin=subprocess.PIPE, start_new_session=True
        )
    if watcher.stdin is None:
        raise AssertionError("a pipe was asked for")
    stderr = os.dup(2)
    os.dup2(watcher.stdin.fileno(), 2)
    try:
        yield
        sys.stderr.flush()
        os.write(2, b"\0")
    except KeyboardInterrupt:
        os.write(2, b"\0")  # that is no failure to explain
        raise
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
        watcher.stdin.close()
        watcher.wait()
