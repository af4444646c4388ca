"""A run that whoever watches its epochs ends early, after its state was saved."""


class Pruned(Exception):  # noqa: N818  not an error: what was asked for
    """The message says why; `train` and `resume` return the run then, and `resume` could go on with it."""
