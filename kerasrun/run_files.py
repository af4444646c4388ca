"""The names of what kerasrun writes into a run directory; nothing else in a run may have one of them."""

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
    EVALUATION = "evaluation"
    PLOTS = "plots"
    EXPORTS = "exports"
