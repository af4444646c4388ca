"""The job script for Slurm in docs/exact-resume.md, run by bash with programs that say what they were asked."""

import re
from pathlib import Path

import pytest

from tests.docs.job_scripts import printed_by

PAGE = Path(__file__).parents[2] / "docs" / "exact-resume.md"


@pytest.fixture
def job(tmp_path):
    """Run the script; `kerasrun` ends with the given code. What was called, in order."""
    (script,) = re.findall(r"<!-- tested: slurm -->\n```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    def run(code):
        programs = (
            'srun() { "$@"; }\n'
            f'kerasrun() {{ echo kerasrun "$@"; return {code}; }}\n'
            'scontrol() { echo scontrol "$@"; }\n'
        )
        return printed_by(programs + script, tmp_path, SLURM_JOB_ID="7", PATH="/usr/bin:/bin")

    return run


def test_a_job_that_was_warned_is_put_back_to_be_given_again(job):
    train = "kerasrun train experiment.yaml --resume"
    assert job(143) == [train, "scontrol requeue 7"]
    assert job(0) == [train]


def test_a_job_that_failed_is_not_put_back(job):
    assert job(1) == ["kerasrun train experiment.yaml --resume"]
