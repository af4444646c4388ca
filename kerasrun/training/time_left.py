"""Estimate how long training will go on: by its steps, and by what whole epochs have really taken."""

from statistics import fmean

from kerasrun.engine.chunks import ChunkSize


class TimeLeft:
    """The time to the end of training; it is told the time, in seconds of any clock, whenever something begins."""

    def __init__(self, steps: int, chunks: ChunkSize) -> None:
        self.steps = steps
        self.chunks = chunks
        self._taken: list[float] = []
        """The time of each epoch of the stage, from its beginning to that of the next: validation, models and
        checkpoints included."""
        self._begun: float | None = None
        """When the current epoch began, if it began at its first step."""
        self._step = 0
        self._epochs_after = 0
        self._told = 0.0

    def begin_stage(self) -> None:
        """Forget the epochs before: in another stage other layers learn."""
        self._taken.clear()
        self._begun = None

    def begin_epoch(self, step: int, epochs_after: int, now: float) -> None:
        """Begin an epoch at a step, with so many epochs to come after it."""
        if self._begun is not None:
            self._taken.append(now - self._begun)
        self._begun = now if step == 0 else None
        self._epochs_after = epochs_after
        self.steps_done(step, now)

    def steps_done(self, step: int, now: float) -> None:
        """Note how many steps of the epoch are done."""
        self._step, self._told = step, now

    def seconds(self, now: float) -> float | None:
        """Return the estimate; None before anything was measured."""
        per_step = self.chunks.seconds_per_step
        if per_step is None:
            return None
        of_steps = self.steps * per_step
        # The first epoch is slower: graphs are traced, files are read for the first time.
        taken = self._taken[1:] or [seconds - self.chunks.first_seconds for seconds in self._taken]
        whole = max(fmean(taken), 0.0) if taken else of_steps
        left_of_epoch = (self.steps - self._step) * per_step + max(whole - of_steps, 0.0)
        return max(left_of_epoch - (now - self._told), 0.0) + self._epochs_after * whole
