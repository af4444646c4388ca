"""The short version: some hundred cases of each part, in a process of their own."""

import pytest

from tests.fuzz.harness import run

COUNTS = {"experiments": 300, "bases": 150, "data": 100, "runs": 15, "models": 40}
HEAVY = (pytest.param(part, marks=pytest.mark.tensorflow) for part in ("runs", "models"))


@pytest.mark.long
@pytest.mark.parametrize("part", ["experiments", "bases", "data", *HEAVY])
def test_whatever_is_in_a_file_is_read_or_refused_in_words(part, tmp_path):
    result = run(part, 1, range(COUNTS[part]), tmp_path)
    assert [f"{fault.number}: {fault.details}" for fault in result.faults] == []
    assert min(result.outcomes["accepted"], result.outcomes["refused"]) > COUNTS[part] / 20
