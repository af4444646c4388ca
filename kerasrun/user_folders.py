"""Folders of a user for what belongs to no run: kerasrun's, by the XDG base directory specification, and Keras's."""

import os
from pathlib import Path


def user_folder(variable: str, otherwise: str) -> Path:
    """Return kerasrun's folder within the one that an environment variable names, else within `otherwise` at home.

    Raises:
        FileNotFoundError: if no place for it is known.
    """
    folder = Path(os.environ.get(variable, ""))
    if not folder.is_absolute():  # its specification has relative ones passed over
        try:
            folder = Path.home() / otherwise
        except RuntimeError as error:
            raise FileNotFoundError(f"{error} {variable} is not set either") from error
    return folder / "kerasrun"


def keras_home() -> Path:
    """Return the folder of Keras's settings and downloads; where no home is known, one that is not there.

    `os.access` says what is in it: `Path.exists` raises where a name is too long.
    """
    # Pathlib's `expanduser` raises where there is no such user.
    return Path(os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras"))  # noqa: PTH111
