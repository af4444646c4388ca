"""SwapEMAWeights: has the averages of the weights in the model while it is validated."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerasrun.callbacks.base import Adapter
from kerasrun.components import Component, as_component
from kerasrun.errors import UsageError
from kerasrun.keras_catalogue import added
from kerasrun.text.document import Written
from kerasrun.text.problems import Problem, dotted


class SwapEMAWeights(Adapter):
    name = "SwapEMAWeights"
    state = ("_ema_weights_in_model",)
    changes_model = True

    @classmethod
    def problems(cls, written: Written, optimizers: Sequence[Component]) -> list[Problem]:
        if any(map(_averages, optimizers)):
            return []
        expected = "expected use_ema: true among the optimizer's arguments: it puts in the average of the weights"
        return [Problem(written.place, dotted(written.path[:2]), "SwapEMAWeights without an average", expected)]

    @classmethod
    def check_epochs(cls, arguments: Mapping[str, Any], *, done: int, before: int, after: int) -> None:
        if not arguments.get("swap_on_epoch"):
            return
        if done >= before and after > before:
            raise UsageError(
                "fit.epochs: a finished run with SwapEMAWeights and swap_on_epoch cannot be extended: in its last "
                "epoch the averages took the place of the weights, which are gone; start a new run with kerasrun train"
            )
        if done == after < before:
            raise UsageError(
                "fit.epochs: with SwapEMAWeights and swap_on_epoch the averages are put in place in the last epoch, "
                f"and epoch {done} is over: give at least {done + 1}"
            )

    def check_optimizer(self, optimizer: Any) -> None:
        if not getattr(optimizer, "inner_optimizer", optimizer).use_ema:
            raise UsageError(
                "callbacks: SwapEMAWeights needs an average of the weights: give the optimizer use_ema: true"
            )

    def give_up_validation(self) -> None:
        self.callback.on_test_end()


def _averages(optimizer: Component) -> bool:
    """Return whether it keeps an average, as far as the text says."""
    inner = optimizer.arguments.get("inner_optimizer")
    if inner is not None:
        return _averages(as_component(inner))
    return added("optimizers", optimizer.name) is not None or bool(optimizer.arguments.get("use_ema"))
