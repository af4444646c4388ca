"""Train Keras models from a YAML file, resume them exactly, evaluate them, and predict.

Every command is one call in Python as well: `kerasrun.train(Path("config.yaml"))`.
"""

import importlib
from typing import Any

from kerasrun.version import VERSION

__version__ = VERSION

_CALLS = {
    "Branch": "kerasrun.training.resuming.branching",
    "dry_run": "kerasrun.training.train",
    "evaluate": "kerasrun.results.evaluation",
    "export": "kerasrun.results.export",
    "load": "kerasrun.experiment.load",
    "open_run": "kerasrun.runs.directory",
    "predict": "kerasrun.results.prediction",
    "preview": "kerasrun.results.preview",
    "resume": "kerasrun.training.train",
    "train": "kerasrun.training.train",
    "verify": "kerasrun.training.verification",
}

__all__ = ["__version__", *sorted(_CALLS)]


def __getattr__(name: str) -> Any:
    """Import a call when it is first asked for: `import kerasrun` stays light."""
    if name not in _CALLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_CALLS[name]), name)
