import pytest

from benchmarks import memory
from benchmarks._commands import Finished
from tests.benchmarks.test_photos import photos


@pytest.fixture
def trained(monkeypatch):
    """The commands that were run: nothing trains, and what keeps everything has 200 MB more."""
    commands = []

    def run(command, stdin):
        commands.append(command)
        kept = not any("cache.memory" in argument for argument in command)
        return Finished("", 1.0, 10**9 + 200 * 10**6 * kept)

    monkeypatch.setattr(memory, "run", run)
    monkeypatch.setattr(memory, "own_peak", lambda: 0)
    return commands


def test_memory_is_compared_with_that_of_keeping_nothing(tmp_path, trained, capsys):
    memory.main(["--photos", str(photos(tmp_path, train=8, val=2)), "--rounds", "2"])
    printed = capsys.readouterr().out
    assert "20 photos, decoded 3 MB" in printed
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("| ")]
    assert ["nothing kept", "1,000", "1,000–1,000", "+0", "+0–+0"] in rows
    assert ["as by default", "1,200", "1,200–1,200", "+200", "+200–+200"] in rows
    assert sum("cache.memory=0.3MB" in command for command in trained) == 4  # a tenth, twice a round


def test_a_process_that_had_more_memory_itself_cannot_tell(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(memory, "own_peak", lambda: 2 * 10**9)
    with pytest.raises(SystemExit, match="by itself"):
        memory.main(["--photos", str(photos(tmp_path, train=8, val=2))])


def test_without_data_there_is_nothing_to_measure(trained, capsys):
    with pytest.raises(SystemExit):
        memory.main([])
    assert "give --mnist, --photos or both" in capsys.readouterr().err
    assert trained == []
