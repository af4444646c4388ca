"""Train Keras models from a YAML file, resume them exactly, evaluate them, and predict.

Every command is one call in Python as well: `kerasrun.train("config.yaml")`.
"""

import os
import sys

# `python -m kerasrun` puts the working directory first, where a typing.py of anybody's would be taken for Python's own.
# While Python looks for a module, `sys.argv[0]` is -m.
if sys.argv[:1] == ["-m"] and sys.path and not sys.flags.safe_path:
    try:
        _here = os.getcwd()  # noqa: PTH109  pathlib imports too much
    except FileNotFoundError:  # it was removed
        _here = ""
    if sys.path[0] in ("", _here):
        del sys.path[0]

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from kerasrun.version import VERSION

__version__ = VERSION

# HDF5 reads this when h5py is loaded. It locks what it opens, Keras's weights too, and fails where a file system has no
# locks, as that of many a cluster; runs have a lock of their own.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

_CALLS = {
    "Branch": "kerasrun.training.resuming.branching",
    "Model": "kerasrun.results.loaded_model",
    "diff": "kerasrun.results.run_diff",
    "doctor": "kerasrun.training.doctor",
    "dry_run": "kerasrun.training.train",
    "evaluate": "kerasrun.reported",
    "evaluate_group": "kerasrun.many.ensemble",
    "export": "kerasrun.results.export",
    "inspect": "kerasrun.inspection.inspection",
    "list_runs": "kerasrun.results.runs_table",
    "load": "kerasrun.experiment.load",
    "open_run": "kerasrun.notebook",
    "predict": "kerasrun.results.prediction",
    "predict_group": "kerasrun.many.ensemble",
    "preview": "kerasrun.results.preview",
    "repeat": "kerasrun.many.repeat",
    "resume": "kerasrun.notebook",
    "sweep": "kerasrun.many.sweep",
    "train": "kerasrun.notebook",
    "verify": "kerasrun.training.verification",
    "write_comparison": "kerasrun.results.run_report",
    "write_report": "kerasrun.results.run_report",
}

__all__ = ["__version__", *sorted(_CALLS)]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """Import a call when it is first asked for: `import kerasrun` stays light."""
    if name not in _CALLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    call = getattr(importlib.import_module(_CALLS[name]), name)
    return call if isinstance(call, type) else _said(call)


def _said(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call that says on stderr what it does, and is interrupted with one sentence."""

    @functools.wraps(call)
    def said(*arguments: Any, **options: Any) -> Any:
        from kerasrun import stderr
        from kerasrun.training.stopping.signals import Stopped, number_of

        stderr.show_unless_configured()
        match options.get("overrides"):
            case str() as one:  # and not a list of letters
                options["overrides"] = [one]
            case Mapping() as values:
                from kerasrun.experiment.resolved import settings

                options["overrides"] = settings(values)
        try:
            return call(*arguments, **options)
        except KeyboardInterrupt as interruption:
            raise Stopped(number_of(interruption)) from interruption

    return said
