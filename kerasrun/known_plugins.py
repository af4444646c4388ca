"""Which plugins of runs may be imported: those of runs that this user began on this machine, and what is allowed now.

They are listed in `$XDG_STATE_HOME/kerasrun/plugins`, by default `~/.local/state/kerasrun/plugins`, one a line in the
form of `sha256sum`. What counts is the content, so a run can be moved, and its name means nothing.
"""

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from kerasrun.errors import PluginError
from kerasrun.regular_files import read_bytes
from kerasrun.stderr import plain
from kerasrun.user_folders import user_folder

logger = logging.getLogger("kerasrun")

_allowed: set[str] = set()
"""sha256 of those that the user has allowed, where the list cannot be written."""


def remember(plugins: Mapping[str, str]) -> None:
    """Add plugins to the list; one that cannot be written is a warning.

    Args:
        plugins: file name → sha256.
    """
    _allowed.update(plugins.values())
    known = _known()
    lines = [f"{sha256}  {plain(name)}\n" for name, sha256 in plugins.items() if sha256 not in known]
    if not lines:
        return
    try:
        file = list_file()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, "".join(lines).encode())  # at once: another run may begin now
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.warning("later commands will not know that the plugins are yours and need --trust: %s", error)


def require(path: Path, sha256: str, *, trust: bool) -> None:
    """Check that a plugin of a run may be imported; on a terminal the user is asked.

    Args:
        trust: whether the user has said so already.

    Raises:
        PluginError: if it may not.
    """
    if trust or sha256 in _allowed or sha256 in _known():
        return
    said = f"{path} (sha256 {sha256}) is code, and not of a run that you began on this machine"
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise PluginError(f"{said}; it runs with your rights, so read it first, then give --trust")
    print(f"{plain(said)}.\nRun it with your rights, now and later? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise PluginError(f"{path} is not run")
    remember({path.name: sha256})


def _known() -> set[str]:
    try:
        text = read_bytes(list_file())
    except OSError:  # it vouches for nothing then
        return set()
    return {line.split()[0] for line in text.decode(errors="replace").splitlines() if line.strip()}


def list_file() -> Path:
    """Return where the list is, or will be.

    Raises:
        FileNotFoundError: if no place for it is known.
    """
    return user_folder("XDG_STATE_HOME", ".local/state") / "plugins"
