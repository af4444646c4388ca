"""A PostgreSQL server for a test, in a folder of its own, on a socket in it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a database that ends with the test; skips the test where there is no server or no driver."""
    pytest.importorskip("psycopg")
    found = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if found is None:
        pytest.skip("needs PostgreSQL (initdb, postgres)")
    programs = Path(found).resolve().parent
    as_user = {"user": "nobody", "cwd": "/"} if os.geteuid() == 0 else {}  # it refuses root
    # Not below tmp_path, where no other user may look; and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        if as_user:
            shutil.chown(folder, "nobody")
        data = f"{folder}/data"
        made = [programs / "initdb", "-D", data, "-U", "kerasrun", "-A", "trust", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, **as_user)
        options = ["-F", "-k", folder, "-h", ""]  # no disk to wait for, no port
        with subprocess.Popen(
            [programs / "postgres", "-D", data, *options], stderr=subprocess.DEVNULL, **as_user
        ) as server:
            try:
                ready = [programs / "pg_isready", "-q", "-h", folder]
                while server.poll() is None and subprocess.run(ready, check=False).returncode:
                    pass
                yield f"postgresql+psycopg://kerasrun@/postgres?host={folder}"
            finally:
                server.terminate()
