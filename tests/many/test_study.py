import os

import pytest

from kerasrun.errors import StorageError
from kerasrun.many.study import journal_in


def test_a_pipe_in_place_of_the_journal_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "journal.log")
    with pytest.raises(StorageError, match=r"journal\.log: it is a named pipe, not a file"):
        journal_in(tmp_path)
