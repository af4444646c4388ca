"""The names of what kerasrun writes into a run directory; nothing else in a run may have one of them."""

import os
import re
from enum import StrEnum


class RunFile(StrEnum):
    """A file or folder of a run; `kerasrun.runs.directory` says what each of them holds."""

    EXPERIMENT = "experiment.yaml"
    RESOLVED = "resolved.yaml"
    RUN = "run.json"
    METRICS = "metrics.csv"
    TIMINGS = "timings.csv"
    TEST_EXAMPLES = "test_examples.csv"
    LOG = "log.txt"
    LOCK = ".lock"
    BEST_MODEL = "best.keras"
    LAST_MODEL = "last.keras"
    CHECKPOINTS = "checkpoints"
    PLUGINS = "plugins"
    BASES = "bases"
    EVALUATION = "evaluation"
    PLOTS = "plots"
    EXPORTS = "exports"
    TRACKING = "tracking"
    REPORT = "report.html"


GROUP_FILE = "group.json"
"""The file that makes a folder of runs a group."""


_LONGEST_NAME = 200
"""In bytes: a number, and the beginning of a private name, are added to it."""


def can_name_runs(name: str) -> bool:
    """Return whether a folder of this name can be made on every file system."""
    is_short = len(os.fsencode(name)) <= _LONGEST_NAME
    return bool(name) and is_short and not name.startswith(".") and not re.search(r'[\x00-\x1f/\\:*?"<>|]', name)


def name_of_runs(text: str) -> str:
    """Return a name like this one that an experiment may have."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).lstrip(".")[:_LONGEST_NAME] or "experiment"
