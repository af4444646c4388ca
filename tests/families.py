"""The test file of each member of a family gives what the tests of the whole family are run on."""

import importlib


def own_tests(kind):
    """Return the test file of the member that a kind is defined in: it is called after it."""
    _, family, member = kind.__module__.split(".")
    return importlib.import_module(f"tests.{family}.test_{member}")
