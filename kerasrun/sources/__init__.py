"""Where examples come from: one file per kind of data, with its YAML fields and `open()`. Light to import.

A class of a plugin that gives data derives from `Source`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasrun.sources.plugin import PluginSource as Source

__all__ = ["Source"]


def __getattr__(name: str) -> Any:
    """Import `Source` when a plugin asks for it: most experiments need only the kind of data that they name."""
    if name != "Source":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kerasrun.sources.plugin import PluginSource

    return PluginSource
