"""Writing while training goes on: one thread, one job after the other, in the order in which they were given.

The order is what a resume relies on: a checkpoint that names a best model is written after that model. So after a job
that failed no other one is begun.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from kerasrun.errors import Interrupted

logger = logging.getLogger("kerasrun")


class BackgroundWriter:
    """Does jobs in a thread while it is entered; every job is done, or one has failed, when it is left.

    A job's failure is raised where training next asks: in `submit`, `check`, `finish`, or at the end of the block. What
    ended the block otherwise goes before it, but for an `Interrupted`, which says that everything was saved.
    """

    def __init__(self) -> None:
        self._jobs: list[Future[None]] = []
        self._failure: BaseException | None = None

    def __enter__(self) -> "BackgroundWriter":
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kerasrun-writer")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        failure, self._failure = self._failure, None
        if failure is None or failure is error:
            return
        if error is None or isinstance(error, Interrupted):
            raise failure
        logger.warning("%s", failure)

    def submit(self, job: Callable[[], None], otherwise: Callable[[], None] = lambda: None) -> Future[None]:
        """Do a job after those before it; `otherwise` is done in its place where one of them failed."""
        self.check()
        self._jobs = [earlier for earlier in self._jobs if not earlier.done()]
        self._jobs.append(self._thread.submit(self._do, job, otherwise))
        return self._jobs[-1]

    def is_busy(self) -> bool:
        """Whether a job waits or is being done."""
        return not all(job.done() for job in self._jobs)

    def check(self) -> None:
        """Raise the failure of a job, if one has failed."""
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Wait until every job is done; then as `check`."""
        for job in self._jobs:
            job.result()
        self.check()

    def _do(self, job: Callable[[], None], otherwise: Callable[[], None]) -> None:
        if self._failure is not None:
            otherwise()
            return
        try:
            job()
        except BaseException as failure:  # noqa: BLE001  raised in the thread that trains
            self._failure = failure
