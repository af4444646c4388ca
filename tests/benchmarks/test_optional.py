from benchmarks import _optional


def test_what_is_missing_is_skipped_with_a_word(monkeypatch, capsys):
    monkeypatch.setattr(_optional, "find_spec", lambda module: None)
    assert not _optional.is_installed("torch")
    assert capsys.readouterr().out.startswith("PyTorch is not installed: skipped")


def test_of_what_is_there_nothing_is_said(monkeypatch, capsys):
    monkeypatch.setattr(_optional, "find_spec", lambda module: object())
    assert _optional.is_installed("torch")
    assert capsys.readouterr().out == ""
