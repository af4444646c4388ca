"""The HParams plugin of TensorBoard, without TensorFlow."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kerasrun.regular_files import refusal_of_links
from kerasrun.trackers.base import SUCCESS, Point, Tracked, Tracker

_SUFFIX = ".kerasrun"


class TensorBoardHParams(Tracker):
    """The table HPARAMS of TensorBoard, in the run's folder `tensorboard`: `tensorboard --logdir runs`. A resume writes
    it again from the rows that are there."""

    def begin(self, run: Tracked, kept: Mapping[str, Any], keep: Callable[..., None]) -> int:
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder = run.root / "tensorboard"
        if why := refusal_of_links([folder]):
            raise OSError(why)
        folder.mkdir(exist_ok=True)
        for older in folder.glob(f"*{_SUFFIX}"):
            older.unlink()
        # A new name each time: a TensorBoard that runs reads on in the file that it has opened.
        name = f"events.out.tfevents.{time.time():010.0f}.{os.getpid()}{_SUFFIX}"
        self.file = (folder / name).open("xb")
        self.writer = RecordWriter(self.file)
        self._add(run.begun, file_version="brain.Event:2")
        self._add(run.begun, summary=hparams_pb(dict(run.parameters), f"{run.root.name}-{run.unique}", run.begun))
        return 0

    def send(self, points: Sequence[Point]) -> None:
        for point in points:
            self._add(point.time, step=point.epoch, summary=_scalars(point.values))
        self.file.flush()

    def end(self, status: str, reason: str, best: Point | None) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

        if best:
            values = {f"best_{name}": value for name, value in best.values.items()}
            self._add(best.time, step=best.epoch, summary=_scalars(values))
        if status in (*SUCCESS, "failed"):  # all others go on
            kind = api_pb2.STATUS_FAILURE if status == "failed" else api_pb2.STATUS_SUCCESS
            ended = plugin_data_pb2.SessionEndInfo(status=kind, end_time_secs=time.time())
            about = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=ended))
            value = {"tag": metadata.SESSION_END_INFO_TAG, "metadata": about, "tensor": metadata.NULL_TENSOR}
            self._add(time.time(), summary=Summary(value=[Summary.Value(**value)]))
        self.file.close()

    def _add(self, moment: float, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self.writer.write(Event(wall_time=moment, **fields).SerializeToString())


def _scalars(values: Mapping[str, float]) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
