"""TensorBoard: event files that go on after a resume and have the graphs once."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrun.callbacks.base import Adapter
from kerasrun.components import Component
from kerasrun.errors import RunDirectoryError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TensorBoard(Adapter):
    name = "TensorBoard"
    state = ("_global_train_batch", "_global_test_batch")
    file = "log_dir"
    default_file = "tensorboard"

    _owes_graph = False
    """Whether the graph of the steps is still to be written, though that of the layers is there."""

    def __init__(self, component: Component, run_root: Path) -> None:
        super().__init__(component, run_root)
        try:
            self.callback.log_dir.encode()
        except UnicodeEncodeError as error:
            raise RunDirectoryError(
                f"{run_root}: TensorFlow writes TensorBoard's files only where all names are UTF-8; choose another "
                "folder with --output, or leave TensorBoard out"
            ) from error

    def needs_every_step(self) -> bool:
        board = self.callback
        return bool(board.update_freq != "epoch" or board._should_trace or board.write_steps_per_second)

    def after_fused_steps(self) -> None:
        if self.callback._should_write_train_graph:
            self.callback.on_train_batch_end(0)  # which writes the graph, and nothing else where steps are fused

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, "NDArray[Any]"]) -> None:
        super().restore(values, arrays)
        # With a number as its `update_freq`, whether it writes at the end of an epoch follows from the batch that this
        # context was entered with; `on_train_begin` entered it with batch 0.
        self.callback._pop_writer()
        self.callback._push_writer(self.callback._train_writer, self.callback._global_train_batch)
        self.callback._should_write_train_graph |= self._owes_graph

    def folders(self) -> list[Path]:
        return [*super().folders(), Path(self.callback.log_dir)]  # the projector's file is opened in it

    def writes(self) -> list[Path]:
        return [*super().writes(), *(Path(self.callback.log_dir, name) for name in ("*", "train/*", "validation/*"))]

    def keep_files(self, *, begun: bool) -> None:
        super().keep_files(begun=begun)
        self._owes_graph = self.callback.write_graph and not begun
        self.callback.write_graph = False

    def outputs(self) -> list[Path]:
        return [*super().outputs(), *(Path(self.callback.log_dir, name) for name in ("train", "validation"))]

    def flush(self) -> None:
        super().flush()
        for writer in self.callback._writers.values():
            writer.flush()

    def close(self) -> None:
        super().close()
        self.callback._close_writers()

    @classmethod
    def unwritten(cls, error: BaseException) -> str | None:
        import tensorflow as tf

        said = str(error) if isinstance(error, tf.errors.OpError) else ""
        return "TensorBoard's files" if "events file" in said or "Summary" in said else None
