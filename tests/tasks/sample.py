"""What the contract of tasks asks of each: examples with labels, and what a network says of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasrun.components import Component
from kerasrun.reading.data import Split
from kerasrun.reading.inputs import ArrayInputs
from kerasrun.report.predictions import Question
from kerasrun.tasks.base import Task


@dataclass(frozen=True)
class Sample:
    """Six examples of a task; `SAMPLE` in its test file, `tests/tasks/test_<task>.py`."""

    task: Task
    classes: tuple[str, ...]
    labels: Any
    """As `Split.labels` holds them."""
    found: np.ndarray
    """The outputs of a network for them."""
    losses: tuple[Component, ...] = ()
    """Losses with which the labels take each form that they can."""

    @property
    def split(self):
        images = ArrayInputs(np.zeros((6, 4, 4, 1), np.uint8))
        return Split("test", images, self.labels, tuple(f"{number}.png" for number in range(6)))

    def question(self, folder, **more):
        paths = [f"{folder}/{number}.png" for number in range(6)]
        files = self.task.files(folder / "out", paths, [])
        for file in files:
            file.parent.mkdir(exist_ok=True)
        outputs = "values" if self.task.parts else self.task.outputs(self.losses[0])
        return Question(self.classes, outputs, paths=paths, files=files, **more)
