"""The contender's side of `_workers`: wait for one's turn, tell how it went."""

import json
import sys

ANSWER = "epoch: "
"""How an answer begins; other lines on stdout are the libraries' own."""


def wait() -> None:
    """Wait to be asked for an epoch; the process ends if nobody will ask any more."""
    if not sys.stdin.readline():
        raise SystemExit


def report(**values: float) -> None:
    """Tell the seconds and whatever else was counted."""
    print(f"{ANSWER}{json.dumps(values)}", file=sys.__stdout__, flush=True)
