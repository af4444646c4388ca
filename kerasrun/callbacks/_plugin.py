"""The callback of a plugin: nothing is known of it but what it says itself."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasrun.callbacks.base import Adapter
from kerasrun.errors import PluginError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PluginAdapter(Adapter):
    """A callback that may do with the model whatever it likes.

    It keeps its state by `get_state` and `set_state`; one without them has said that it keeps nothing.
    """

    state = ()
    weights = ("best_weights",)  # it may derive from EarlyStopping
    monitors = False
    changes_model = True
    changes_frozen_layers = True
    file = None
    # Not those of a member whose callback it derives from.
    needs_every_step = Adapter.needs_every_step
    watched = Adapter.watched

    def values(self) -> dict[str, Any]:
        kept = {"state": self._checked(self.callback.get_state())} if hasattr(self.callback, "get_state") else {}
        return super().values() | kept

    def restore(self, values: Mapping[str, Any], arrays: Mapping[str, "NDArray[Any]"]) -> None:
        if hasattr(self.callback, "get_state"):
            self.callback.set_state(values["state"])
        super().restore(values, arrays)

    def _checked(self, state: Any) -> Any:
        """Return the state as JSON brings it back."""
        try:
            _check_keys(state)
            return json.loads(json.dumps(state))
        except (TypeError, ValueError) as error:
            raise PluginError(
                f"the state of {type(self.callback).__name__} is not plain: {error}; its get_state() must return "
                "numbers, text, lists and mappings from text to them"
            ) from error


def _check_keys(state: Any) -> None:
    """JSON makes text of the keys 1, 1.0 and True, so that a resumed callback would not find them again."""
    if isinstance(state, Mapping):
        for key in state:
            if not isinstance(key, str):
                raise TypeError(f"it has the key {key!r}, which is not text")
    if isinstance(state, Mapping | list | tuple):
        for value in state.values() if isinstance(state, Mapping) else state:
            _check_keys(value)
