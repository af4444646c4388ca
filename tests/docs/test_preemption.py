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


def test_a_job_that_was_warned_is_put_back_and_goes_on(job, tmp_path):
    assert job(143) == ["kerasrun train experiment.yaml -o runs/7", "scontrol requeue 7"]
    (tmp_path / "runs" / "7" / "experiment-1" / "checkpoints" / "00000000").mkdir(parents=True)
    assert job(143) == ["kerasrun resume -o runs/7", "scontrol requeue 7"]
    assert job(0) == ["kerasrun resume -o runs/7"]


def test_a_job_that_was_warned_before_its_first_checkpoint_begins_again(job, tmp_path):
    (tmp_path / "runs" / "7" / "experiment-1").mkdir(parents=True)
    assert job(0) == ["kerasrun train experiment.yaml -o runs/7"]


def test_a_job_that_failed_is_not_put_back(job):
    assert job(1) == ["kerasrun train experiment.yaml -o runs/7"]
