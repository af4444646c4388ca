"""The checksums by which later damage is told."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def of_fields(content: Mapping[str, Any]) -> str:
    """sha256 of plain values, whatever the order and the white space in which a file has them."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def of_file(path: Path) -> str:
    """sha256 of a file's content; an OSError stays one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
