"""What Keras says of an error, in one line."""

import re

_COLOURS = re.compile(r"\x1b\[[\d;]*m")
_REPEATED = re.compile("(?:Full object|Received:) config|,? Target variable:")


def sentence(error: Exception | Warning | str) -> str:
    """The paragraph that gives the reason, without the configurations and arguments that Keras repeats."""
    text = _COLOURS.sub("", str(error))
    paragraphs = [" ".join(part.split()) for part in _REPEATED.split(text)[0].split("\n\n")]
    first, *others = paragraphs
    if others and first.startswith("Exception encountered when calling "):
        return others[0]
    if others and first.endswith(":"):  # of several objects, one is told as an example
        return f"{first} {others[0]}"
    return first or (type(error).__name__ if isinstance(error, Exception) else "")
