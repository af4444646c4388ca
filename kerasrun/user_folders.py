"""Where kerasrun keeps what belongs to a user and to no run: folders of the XDG base directory specification."""

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
