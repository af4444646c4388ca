"""What makes a page of Keras wait for its turn, hand over its images once, and tell how long that took."""

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import _turn


def arguments(description: str | None) -> argparse.Namespace:
    """`--data --batch-size --passes`, as every peer takes them that only reads; `--cache` where there is one."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="class folders")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--passes", type=int, required=True)
    parser.add_argument("--cache", action="store_true")
    return parser.parse_args()


def take_turns(passes: int, batches: Callable[[], Iterable[Any]]) -> None:
    """Take all batches of a pass a turn; a batch begins with its images."""
    for _ in range(passes):
        _turn.wait()
        begin = time.perf_counter()
        images = sum(len(batch[0]) for batch in batches())
        _turn.report(seconds=time.perf_counter() - begin, images=images)
