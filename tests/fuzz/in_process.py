"""A command line in this process, which has loaded TensorFlow: its errors, and what it prints."""

import contextlib
import gc
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerasrun.errors import KerasrunError


def kerasrun(folder: Path, *arguments: str) -> bool:
    """Run a command in a folder; return whether it came to its end, and not to an error that helps."""
    import keras
    from typer.main import get_command

    from kerasrun.cli import app

    environment, before = dict(os.environ), Path.cwd()
    os.chdir(folder)
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            get_command(app).main(list(arguments), prog_name="kerasrun", standalone_mode=False)
    except KerasrunError as error:
        if wrong := what_is_wrong_with(error, arguments):
            raise AssertionError(f"{wrong}: {arguments}: {error!r}") from error
        return False
    except Exception as error:
        error.add_note(f"kerasrun {' '.join(arguments)}")
        raise
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)
        keras.backend.clear_session()
        keras.config.set_dtype_policy("float32")
        gc.collect()
    assert "Traceback" not in out.getvalue(), f"{arguments}: {out.getvalue()}"
    return True


def what_is_wrong_with(error: KerasrunError, case: object) -> str | None:
    """Say why a refusal is not one that helps."""
    text = str(error)
    if len(text) < 10 or len(text) > 20_000:
        return "a refusal of no words, or of too many"
    return "a refusal that is Python's" if "Traceback" in text else None


def rewrite_zip(path: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change the JSON in a zip, and leave its other files."""
    with zipfile.ZipFile(path) as archive:
        files = {one: archive.read(one) for one in archive.namelist()}
    files[name] = json.dumps(change(json.loads(files[name]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for one, content in files.items():
            archive.writestr(one, content)
