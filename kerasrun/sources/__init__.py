"""Where examples come from: one file per kind of data, with its YAML fields and `open()`. Light to import.

A class of a plugin that gives data derives from `Source`.
"""

from kerasrun.sources.plugin import PluginSource as Source

__all__ = ["Source"]
