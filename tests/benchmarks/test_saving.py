import itertools

from benchmarks import _saving, _turn


def test_what_a_checkpoint_costs_is_told_after_every_fourth_epoch(monkeypatch):
    told, waits = [], []
    monkeypatch.setattr(_turn, "report", lambda **values: told.append(values))
    monkeypatch.setattr(_turn, "wait", lambda: waits.append(len(told)))
    # Three epochs before the first turn, then one of 5 s that saves, one of 3 s while that is written, two of 2 s.
    seconds = [1, 1, 1, 5, 3, 2, 2]
    clock = itertools.accumulate(itertools.chain.from_iterable((0, length) for length in seconds))
    monkeypatch.setattr(_saving.time, "perf_counter", lambda: next(clock))
    turn = _saving.Turn()
    for epoch in range(len(seconds)):
        turn.begin_epoch(epoch)
        turn.end_epoch(epoch)
    assert waits == [0, 1]
    assert told[1] == {"lost": 4, "epoch": 2}
    assert [epoch for epoch in range(len(seconds)) if turn.writes_until_now(epoch)] == [0, 4]
