"""TerminateOnNaN: has nothing to do, since any run ends with an error at a loss that is not finite."""

from kerasrun.callbacks.base import Adapter


class TerminateOnNaN(Adapter):
    name = "TerminateOnNaN"
    state = ()

    def needs_every_step(self) -> bool:
        return False
