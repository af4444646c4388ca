"""What `run.json` keeps of the machine and the versions, so that a resume can tell whether it will be exact."""

import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from kerasrun.errors import RunDirectoryError
from kerasrun.version import VERSION

_INSTRUCTION_SETS = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "bf16", "i8mm", "sve", "sve2"),
)
"""Those by which TensorFlow and oneDNN choose their kernels, hence the bits of a result."""
VARIABLES = (
    # How work is divided among threads.
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD"),
    # Which kernels compute on a CPU, and in which precision.
    *("TF_ENABLE_ONEDNN_OPTS", "TF_ENABLE_ZENDNN_OPTS", "TF_USE_DEEP_CONV2D", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"),
    *("TF_SET_ONEDNN_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    # On a GPU: the order of additions, the choice of algorithms, the precision.
    *("TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC", "TF_CUDNN_USE_AUTOTUNE", "TF_MATMUL_AUTOTUNE_ENABLE"),
    *("TF_CUDNN_WORKSPACE_LIMIT_IN_MB", "TF_CUBLAS_WORKSPACE_LIMIT_IN_MB", "TF_USE_CUBLASLT"),
    *("TF_USE_CUDNN_BATCHNORM_SPATIAL_PERSISTENT", "TF_ENABLE_WINOGRAD_NONFUSED", "TF_USE_DEFAULT_CONV_ALGO"),
    *("NVIDIA_TF32_OVERRIDE", "TF_CONV2D_USE_FP16_ACCUMULATE"),
    *("TF_FP16_CONV_USE_FP32_COMPUTE", "TF_FP16_MATMUL_USE_FP32_COMPUTE"),
    *("XLA_FLAGS", "TF_XLA_FLAGS"),
)
"""Those that change the bits of a result; a resume sets them again as they were."""
# A path could name a program that runs, or a file that is written: compilers and dumps of XLA.
_PLAIN = re.compile(r"[\w.,:+-]*")
_FLAG = r"--?\w++(?:=[\w.,:+-]*+)?"
_FLAGS = re.compile(rf"\s*+(?:{_FLAG}(?:\s++{_FLAG})*+)?\s*+")
STARTED_AS = "KERASRUN_WORKER"
"""The environment variable that has the command with which a user, or srun, began this process and others beside it.

Where it is set, TF_CONFIG is meant for this command, and not for a training beside it.
"""
_GIT_SECONDS = 5.0
_PACKAGE = Path(__file__).parents[1]
_TESTED = "constraints.txt"
"""The versions that kerasrun was tested with, as pip reads them; `setup.py` puts the file into the package."""
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
"""Where Linux tells of the caches."""


def check_variables(variables: Mapping[str, str | None]) -> None:
    """Refuse environment variables of a run that could do more than choose how numbers are computed.

    A run may come from somebody else. What the environment says already is not taken from it.

    Raises:
        RunDirectoryError: naming the variable.
    """
    for name, value in variables.items():
        form = _FLAGS if name.endswith("XLA_FLAGS") else _PLAIN
        is_plain = value is None or (isinstance(value, str) and form.fullmatch(value))
        if name not in VARIABLES or not (is_plain or os.environ.get(name) == value):
            raise RunDirectoryError(
                f"run.json: the environment variable {name}={value!r} is not one that a run may set; take it out of "
                "the file, if you know who wrote it, and set it yourself"
            )


def environment(folder: Path) -> dict[str, Any]:
    """Return command line, versions, git, host and processor, as plain JSON values; imports and starts nothing heavy.

    Args:
        folder: the experiment file's, whose git repository is asked for its commit.
    """
    return {
        "command": os.environ.get(STARTED_AS) or shlex.join(sys.argv),
        "working_directory": str(Path.cwd()),
        "versions": _versions(),
        "platform": platform.platform(),
        "libc": " ".join(filter(None, platform.libc_ver())) or None,
        "host": socket.gethostname(),
        "processor": _processor(),
        "variables": {name: os.environ.get(name) for name in VARIABLES},
        "git": _git(folder),
    }


def _versions() -> dict[str, str | None]:
    # With its package where that is not the usual one: kernels are built for each again.
    tensorflow = _version("tensorflow") or ((built := _version("tensorflow-cpu")) and f"{built} (tensorflow-cpu)")
    return {
        "kerasrun": VERSION,
        "python": platform.python_version(),
        "keras": _version("keras"),
        "tensorflow": tensorflow,
        "numpy": _version("numpy"),
        "pillow": _version("pillow"),
    }


def packages() -> dict[str, dict[str, str | None]]:
    """Return for each package that kerasrun needs the version that is installed, and the one that was tested.

    Empty where kerasrun itself was not installed, so that nothing says what it needs.
    """
    try:
        needed = [re.match(r"[\w.-]+", one) for one in requires("kerasrun") or () if "extra ==" not in one]
    except PackageNotFoundError:
        return {}
    names, tested, common = [_normal(one[0]) for one in needed if one], _tested(), _versions()
    return {name: {"installed": common.get(name, _version(name)), "tested": tested.get(name)} for name in names}


def _tested() -> dict[str, str]:
    file = next(file for file in (_PACKAGE / _TESTED, _PACKAGE.parent / _TESTED) if file.is_file())
    pairs = (line.split("==") for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {_normal(name): tested for name, tested in pairs}


def _normal(package: str) -> str:
    """Return a name as packages are compared by.

    https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return re.sub("[-_.]+", "-", package).lower()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> dict[str, Any]:
    described = _cpuinfo()
    flags = set(described.get("flags", described.get("Features", "")).split())  # x86 and ARM name it differently
    return {
        "architecture": platform.machine(),
        "model": described.get("model name") or platform.processor() or None,
        "instruction_sets": [name for name in _INSTRUCTION_SETS if name in flags],
        "caches": _caches(),
        "count": os.cpu_count(),
    }


def _caches() -> dict[str, str]:
    """Return the sizes of the first core's data caches, such as `{"L1": "32K", "L2": "512K"}`; empty where unknown."""
    found = {}
    for folder in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction" and level in ("1", "2"):
            found[f"L{level}"] = size
    return found


def _cpuinfo() -> dict[str, str]:
    """Return the first processor's fields; empty where the system is not Linux."""
    try:
        first, *_ = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _git(folder: Path) -> dict[str, Any] | None:
    """Commit and whether tracked files differ from it; None without git, outside a repository, or before a commit."""
    commit = _git_output(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:  # also where git waits for something that the repository names
        return None
    filters = _git_output(folder, "config", "--name-only", "-z", "--get-regexp", "^filter\\.")
    changes = _git_output(
        folder,
        *("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"),
        without=(filters or "").split("\0"),
    )
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git_output(folder: Path, *arguments: str, without: Sequence[str] = ()) -> str | None:
    """Return what git says; None if it fails.

    A repository of someone else may name programs that `status` would run: to look for changes, to compare files, and
    to fetch what it lacks. None of them is. And asking must not write to it.

    Args:
        without: keys of filters in the configuration that do not count.
    """
    values = {key: "false" if key.endswith(".required") else "" for key in without if key}
    variables = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_CONFIG_COUNT": str(len(values) + 1)}
    # Not by -c, which ends a key at its first equals sign.
    for number, (key, value) in enumerate({**values, "core.fsmonitor": "false"}.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "--no-optional-locks", *arguments],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else None
