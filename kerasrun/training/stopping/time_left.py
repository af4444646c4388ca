"""Check whether the next part of training, and saving the state after it, fits before `time_limit`."""

from kerasrun.engine.chunks import TARGET_SECONDS, ChunkSize
from kerasrun.training.stopping.time_limit import TimeLimit
from kerasrun.training.writer import RunWriter


class TimeLeft:
    """Estimates by how long the same took the last time; what was never timed takes as long as the first chunk."""

    def __init__(self, limit: TimeLimit, chunks: ChunkSize, writer: RunWriter) -> None:
        """`chunks` are those of training."""
        self.limit = limit
        self.chunks = chunks
        self.writer = writer
        self.ending_seconds: float | None = None
        """The time after the steps of the last epoch that validated, if any is to: validation, the best model, the
        callbacks."""

    def for_steps(self, remaining: int) -> bool:
        """Return whether there is time for the next chunk of the steps that an epoch still has."""
        return self._for(self.chunks.expected_seconds(remaining), saves=1)

    def for_ending(self) -> bool:
        """Return whether there is time for the end of an epoch; the last one writes one model more."""
        return self._for(self.ending_seconds, saves=2)

    def for_validation(self, chunks: ChunkSize, remaining: int) -> bool:
        """Return whether there is time for the next chunk of a validation, then the best model and a checkpoint."""
        return self._for(chunks.expected_seconds(remaining), saves=2)

    def for_features(self) -> bool:
        """Return whether there is time for the next chunk of what frozen layers compute."""
        return self._for(TARGET_SECONDS, saves=1)

    def _for(self, seconds: float | None, saves: int) -> bool:
        if not self.limit.binds():
            return True
        # What has not been timed yet traces first, as training's first chunk did.
        work = self.chunks.first_seconds if seconds is None else seconds
        return self.limit.leaves(work + saves * self.writer.seconds_to_save())
