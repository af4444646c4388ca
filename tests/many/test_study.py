"""The storages of a study."""

import os

import optuna
import pytest
from sqlalchemy.exc import IntegrityError

from kerasrun.errors import StorageError
from kerasrun.many.study import journal_in, open_storage


def test_a_pipe_in_place_of_the_journal_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "journal.log")
    with pytest.raises(StorageError, match=r"journal\.log: it is a named pipe, not a file"):
        journal_in(tmp_path)


@pytest.fixture
def refusals(monkeypatch):
    """Statements that the database refuses, in turn, while it is opened."""
    statements = []

    def get_storage(url):
        if statements:
            raise IntegrityError(statements.pop(0), None, Exception("duplicate key"))
        return url

    monkeypatch.setattr(optuna.storages, "get_storage", get_storage)
    return statements


def test_tables_that_another_machine_makes_in_this_moment_are_opened(refusals):
    refusals += ["CREATE TABLE studies (…)", "\nCREATE TABLE alembic_version (…)"]
    assert open_storage("postgresql://here/sweeps") == "postgresql://here/sweeps"


@pytest.mark.parametrize("refused", [["SELECT 1"], ["CREATE TABLE studies (…)"] * 3])
def test_what_else_a_database_refuses_is_told(refusals, refused):
    refusals += refused
    with pytest.raises(StorageError, match="duplicate key"):
        open_storage("postgresql://here/sweeps")
