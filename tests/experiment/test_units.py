"""How `time_limit` and `cache.memory` are written."""

import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.experiment.units import amount

TIME_LIMIT = "data: {folder: {path: x}}\nmodel: Small\ntime_limit: "
MEMORY = "data: {folder: {path: x}}\nmodel: Small\ncache: {memory: %s}"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *(("90", 90), ("0.5", 0.5), ("45s", 45), ("90m", 5400), ("3h", 10800), ("1d", 86400)),
        *(("2h30m", 9000), ("1d2h3m4s", 93784), ("1.5h", 5400)),
    ],
)
def test_seconds_or_a_duration(written, seconds):
    experiment = parse(TIME_LIMIT + written, "e.yaml").experiment
    assert experiment.time_limit == seconds
    assert parse(resolved_yaml(experiment), "e.yaml").experiment.time_limit == seconds


def test_there_is_none_unless_it_is_written():
    assert parse(TIME_LIMIT + "null", "e.yaml").experiment.time_limit is None


@pytest.mark.parametrize("written", ["3x", "h", "30m2h", "3 h", "-1h", "12:30:00", "[3]", "''"])
def test_another_form_is_an_error_at_its_place_that_says_what_is_expected(written):
    with pytest.raises(ExperimentError) as error:
        parse(TIME_LIMIT + written, "e.yaml")
    (line,) = (line for line in str(error.value).splitlines() if line.startswith("e.yaml:"))
    assert line.startswith("e.yaml:3:13: time_limit: received ")
    assert line.endswith("; expected a number of seconds, or a duration such as 45s, 90m, 3h, 2h30m or 1d")


@pytest.mark.parametrize("written", ["0", "-3", ".inf", "true", "0s"])
def test_no_time_at_all_is_an_error(written):
    with pytest.raises(ExperimentError, match=r"e\.yaml:3:13: time_limit: received .*; expected a number"):
        parse(TIME_LIMIT + written, "e.yaml")


@pytest.mark.parametrize(
    ("written", "memory"),
    [
        *(("0", 0), ("0.5", 0.5), ("1", 1), ("2000000", 2e6), ("500MB", 5e8), ("2GB", 2e9), ("2 GB", 2e9)),
        *(("1.5GiB", 1.5 * 2**30), ("64 KiB", 2**16)),
    ],
)
def test_a_share_or_an_amount(written, memory):
    experiment = parse(MEMORY % written, "e.yaml").experiment
    assert experiment.cache.memory == memory
    assert parse(resolved_yaml(experiment), "e.yaml").experiment.cache.memory == memory


@pytest.mark.parametrize(
    "written", ["-1", "-1GB", "2gb", "half", "true", "null", ".inf", "[1]", "50%", "1.5", "0.001kB", "9" * 400 + "GB"]
)
def test_another_form_of_memory_is_an_error_at_its_place(written):
    with pytest.raises(ExperimentError, match=r"e\.yaml:3:17: cache\.memory: received .*; expected "):
        parse(MEMORY % written, "e.yaml")


@pytest.mark.parametrize(("written", "disk"), [("auto", "auto"), ("0", 0), ("50GB", 5e10), ("2000000", 2e6)])
def test_room_on_disk_is_an_amount_or_auto(written, disk):
    experiment = parse(MEMORY.replace("memory", "disk") % written, "e.yaml").experiment
    assert experiment.cache.disk == disk
    assert parse(resolved_yaml(experiment), "e.yaml").experiment.cache.disk == disk


@pytest.mark.parametrize(
    "written", ["0.5", "1", "-1", "half", "null", ".inf", "[1]", "50%", "1.5", "0.001kB", "9" * 400 + "GB"]
)
def test_another_form_of_room_on_disk_is_one_error_at_its_place(written):
    with pytest.raises(ExperimentError) as error:
        parse(MEMORY.replace("memory", "disk") % written, "e.yaml")
    (line,) = (line for line in str(error.value).splitlines() if line.startswith("e.yaml:"))
    assert line.startswith("e.yaml:3:15: cache.disk: received ")
    assert line.endswith("; expected auto, 0, or an amount such as 500MB, 50GB or 1.5TiB")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (45 * 10**9, "45 GB"), (2**62, "4.6 EB"), (10**22, "10000 EB")],
)
def test_bytes_are_told_whatever_their_number(size, text):
    assert amount(size) == text
