"""Options of `kerasrun plot` that would say nothing of what is drawn."""

import pytest
from typer.testing import CliRunner

from kerasrun.cli import app
from kerasrun.errors import UsageError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--full", "--labels"], "--full draws the network, which --labels and --examples leave out"),
        (["--full", "--examples"], "--full draws the network, which --labels and --examples leave out"),
        (["--labels", "--split", "test"], "give --examples as well"),
    ],
)
def test_an_option_that_nothing_would_heed_is_refused(options, words):
    with pytest.raises(UsageError, match=words):
        CliRunner().invoke(app, ["plot", *options], catch_exceptions=False)
