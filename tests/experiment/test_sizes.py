"""How `cache.memory` is written."""

import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml

SMALLEST = "data: {folder: {path: x}}\nmodel: Small\ncache: {memory: %s}"


@pytest.mark.parametrize(
    ("written", "memory"),
    [
        *(("0", 0), ("0.5", 0.5), ("1", 1), ("2000000", 2e6), ("500MB", 5e8), ("2GB", 2e9), ("2 GB", 2e9)),
        *(("1.5GiB", 1.5 * 2**30), ("64 KiB", 2**16)),
    ],
)
def test_a_share_or_an_amount(written, memory):
    experiment = parse(SMALLEST % written, "e.yaml").experiment
    assert experiment.cache.memory == memory
    assert parse(resolved_yaml(experiment), "e.yaml").experiment.cache.memory == memory


@pytest.mark.parametrize(
    "written", ["-1", "-1GB", "2gb", "half", "true", "null", ".inf", "[1]", "50%", "1.5", "0.001kB"]
)
def test_another_form_is_an_error_at_its_place(written):
    with pytest.raises(ExperimentError, match=r"e\.yaml:3:17: cache\.memory: received .*; expected "):
        parse(SMALLEST % written, "e.yaml")
