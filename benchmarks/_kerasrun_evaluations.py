"""`kerasrun evaluate RUN`, which evaluates again and again, once a turn, before it reports. RUN TIMES"""

import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import _turn
from kerasrun.engine import devices
from kerasrun.results.evaluation import evaluate

if __name__ == "__main__":
    devices.start()  # before the evaluator is imported, and TensorFlow with it, as on the command line
    from kerasrun.engine import evaluator

    class PacedEvaluator(evaluator.Evaluator):
        """Outputs, loss and metrics of the whole split, from images in memory, in each turn."""

        def evaluate(self, *arguments: Callable[..., Any], **options: Callable[..., Any]) -> dict[str, float] | None:
            for _ in range(int(sys.argv[2])):
                _turn.wait()
                begin = time.perf_counter()
                super().evaluate()
                _turn.report(seconds=time.perf_counter() - begin, images=len(self.split))
            return super().evaluate(*arguments, **options)

    evaluator.Evaluator = PacedEvaluator  # type: ignore[misc]
    evaluate(sys.argv[1])
