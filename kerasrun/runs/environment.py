"""What `run.json` keeps of the machine and the versions, so that a resume can tell whether it will be exact."""

import os
import platform
import shlex
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kerasrun.version import VERSION

_INSTRUCTION_SETS = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "bf16", "i8mm", "sve", "sve2"),
)
"""Those by which TensorFlow and oneDNN choose their kernels, hence the bits of a result."""
_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "TF_ENABLE_ONEDNN_OPTS")
_GIT_SECONDS = 5.0


def environment(folder: Path) -> dict[str, Any]:
    """Command line, versions, git, host and processor, as plain JSON values; imports and starts nothing heavy.

    Args:
        folder: the experiment file's, whose git repository is asked for its commit.
    """
    return {
        "command": shlex.join(sys.argv),
        "working_directory": str(Path.cwd()),
        "versions": _versions(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "processor": _processor(),
        "variables": {name: os.environ.get(name) for name in _VARIABLES},
        "git": _git(folder),
    }


def _versions() -> dict[str, str | None]:
    return {
        "kerasrun": VERSION,
        "python": platform.python_version(),
        "keras": _version("keras"),
        "tensorflow": _version("tensorflow") or _version("tensorflow-cpu"),
        "numpy": _version("numpy"),
    }


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
        "count": os.cpu_count(),
    }


def _cpuinfo() -> dict[str, str]:
    """The first processor's fields; empty where the system is not Linux."""
    try:
        first, *_ = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _git(folder: Path) -> dict[str, Any] | None:
    """Commit and whether tracked files differ from it; None without git, outside a repository, or before a commit."""
    commit = _git_output(folder, "rev-parse", "--verify", "HEAD")
    changes = _git_output(folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None:
        return None
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git_output(folder: Path, *arguments: str) -> str | None:
    # A repository may name a program to be run on `status`; and asking must not write to it.
    command = ["git", "-C", str(folder), "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
