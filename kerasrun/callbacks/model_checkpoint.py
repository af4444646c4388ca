"""ModelCheckpoint: Keras's own model files, with values of the logs in their names."""

import string
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from kerasrun.callbacks.base import Adapter
from kerasrun.text.document import Written
from kerasrun.text.problems import Problem, closest, dotted, listed, shown


class ModelCheckpoint(Adapter):
    name = "ModelCheckpoint"
    state = ("best", "_batches_seen_since_last_saving", "_last_batch_seen", "_current_epoch")
    monitors = True
    file = "filepath"

    @classmethod
    def monitored(cls, written: Written) -> tuple[str, Problem] | None:
        best_only = written.arguments.get("save_best_only")
        is_used = "monitor" in written.arguments or (best_only is not None and best_only.value)
        return super().monitored(written) if is_used else None

    @classmethod
    def log_problems(cls, written: Written, of_epoch: Sequence[str], of_step: Sequence[str]) -> list[Problem]:
        frequency, best_only = (written.arguments.get(key) for key in ("save_freq", "save_best_only"))
        by_step = frequency is not None and isinstance(frequency.value, int)
        problems = _name_problems(written, ("epoch", "batch", *of_step) if by_step else ("epoch", *of_epoch))
        if by_step and best_only is not None and best_only.value is True:
            received = "save_best_only beside a number of batches as save_freq"
            expected = "expected one of them: Keras compares values when an epoch ends"
            where = dotted((*written.path, "save_best_only"))
            problems.append(Problem(best_only.place, where, received, expected))
        return problems

    def needs_every_step(self) -> bool:
        return bool(self.callback.save_freq != "epoch")

    def write_whole(self, replacing: Callable[[Path], AbstractContextManager[Path]]) -> None:
        save, model = type(self.callback)._save_model, self.callback._model
        whole = _Whole(model, replacing)

        def save_whole(epoch: int, batch: int | None, logs: Mapping[str, float]) -> None:
            self.callback._model = whole
            try:
                save(self.callback, epoch, batch, logs)
            finally:
                self.callback._model = model

        self.callback._save_model = save_whole

    def watched(self) -> set[str]:
        if self.callback.save_freq != "epoch":
            return set()
        monitored = {self.callback.monitor} if self.callback.save_best_only else set()
        return monitored | set(filter(None, _fields(self.callback.filepath)))


class _Whole:
    """A model whose files are whole or not there: Keras writes in place, and a full disk would leave half of one."""

    def __init__(self, model: Any, replacing: Callable[[Path], AbstractContextManager[Path]]) -> None:
        self._model, self._replacing = model, replacing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def save(self, path: str, *, overwrite: bool) -> None:
        from kerasrun.model_file import save_h5

        with self._replacing(Path(path)) as private:
            if private.suffix == ".h5":
                save_h5(self._model, private)
            else:
                self._model.save(private, overwrite=overwrite)

    def save_weights(self, path: str, *, overwrite: bool) -> None:
        from kerasrun.model_file import save_weights

        with self._replacing(Path(path)) as private:
            save_weights(self._model, private)


def _name_problems(written: Written, allowed: Sequence[str]) -> list[Problem]:
    """Return what is wrong with the name of its files, in which these values of the logs can be."""
    node = written.arguments.get("filepath")
    if node is None or not isinstance(node.value, str):
        return []
    where, name = dotted((*written.path, "filepath")), node.value
    problems = []
    weights_only = written.arguments.get("save_weights_only")
    endings = (".weights.h5",) if weights_only is not None and weights_only.value is True else (".keras", ".h5")
    if not name.endswith(endings):
        what = "weights alone" if len(endings) == 1 else "a whole model"
        expected = f"expected a name that ends in {listed(endings)} for {what}"
        problems.append(Problem(node.place, where, f"received {shown(name)}", expected))
    expected = "expected each { with its }: {epoch:02d}"
    try:
        unknown = next((field for field in _fields(name) if field not in allowed), None)
        expected = "expected formats such as {epoch:02d} and {val_loss:.2f}"
        if unknown is None:
            name.format(**{value: 1 if value in ("epoch", "batch") else 0.5 for value in allowed})
    except ValueError as error:
        return [*problems, Problem(node.place, where, f"received {shown(name)}: {error}", expected)]
    if unknown is not None:
        received, expected = f"'{{{unknown}}}' in the file name", f"expected {listed(allowed)} in braces"
        problems.append(Problem(node.place, where, received, expected, closest(unknown, allowed)))
    return problems


def _fields(name: str) -> list[str]:
    """Return what is in the braces of a file name."""
    return [field for _, field, _, _ in string.Formatter().parse(name) if field is not None]
