"""`plugins`: the files that an experiment names, read before the names in it are checked."""

from pathlib import Path as FilePath

from kerasrun import plugins
from kerasrun.components import CommandLineText
from kerasrun.errors import PluginError
from kerasrun.plugins import Plugin
from kerasrun.text.document import Document, written_list
from kerasrun.text.problems import Problem, dotted


def use_plugins(document: Document, folder: FilePath) -> list[Problem]:
    """Have the names of the experiment's plugins known, and of no others; what is wrong with the files is returned.

    Args:
        folder: what paths in the experiment are relative to.
    """
    problems: list[Problem] = []
    found: list[Plugin] = []
    plugins.use(())
    for path, node in written_list(document.node(("plugins",)), ("plugins",)):
        if not isinstance(node.value, str):
            continue  # told as a wrong value
        base = FilePath.cwd() if isinstance(node.value, CommandLineText) else folder
        file = FilePath(base, FilePath(node.value).expanduser()).absolute()
        try:
            plugin = plugins.read(file)
            told = plugins.problems_of(plugin)
            if any(plugin.module == other.module for other in found):
                told.append("a second plugin of this name; give it another one")
            found.append(plugin)
        except PluginError as error:
            told = [str(error)]
        problems += [Problem(node.place, dotted(path), f"{file}: {one}") for one in told]
        plugins.use(found)
    return problems
