import pytest

from benchmarks import __main__ as whole
from tests.benchmarks.test_commands import BENCHMARKS

ON_THEIR_OWN = {"accuracy", "checkpoint", "operators", "tables"}


@pytest.fixture
def measured(monkeypatch):
    """What each benchmark is told, in order; nothing is measured."""
    told = []
    for part in whole._parts(whole._arguments([])):
        monkeypatch.setattr(part.benchmark, "measure", lambda given, name=part.name: told.append((name, given)))
    return told


def test_every_benchmark_of_speed_and_memory_has_its_part():
    assert {part.name for part in whole._parts(whole._arguments([]))} == set(BENCHMARKS) - ON_THEIR_OWN


def test_all_parts_are_told_their_data_and_the_rounds(measured, capsys, tmp_path):
    folders = [word for option in ("--mnist", "--photos", "--membranes") for word in (option, str(tmp_path))]
    whole.main([*folders, "--weights", "w", "--rounds", "7"])
    assert [name for name, _ in measured] == [part.name for part in whole._parts(whole._arguments([]))]
    assert {given.rounds for _, given in measured} == {7}
    assert "skipped" not in (printed := capsys.readouterr().out)
    assert printed.count("Machine: ") == 1


def test_what_has_no_data_is_skipped_with_a_word(measured, capsys):
    whole.main([])
    printed = capsys.readouterr().out
    skipped = {part.name for part in whole._parts(whole._arguments([])) if part.needs}
    assert skipped
    assert all(f"{name}: skipped, since --" in printed for name in skipped)
    assert skipped.isdisjoint({name for name, _ in measured})


def test_one_part_can_be_chosen(measured):
    whole.main(["--only", "startup"])
    assert [name for name, _ in measured] == ["startup"]
