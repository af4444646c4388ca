"""The small experiments of the tests of training."""

from tests.training.conftest import digits, train  # noqa: F401  fixtures
