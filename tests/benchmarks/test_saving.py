import itertools

from benchmarks import _saving, _turn


def test_what_a_checkpoint_costs_is_told_after_every_sixth_epoch(monkeypatch):
    told, waits = [], []
    monkeypatch.setattr(_turn, "report", lambda **values: told.append(values))
    monkeypatch.setattr(_turn, "wait", lambda: waits.append(len(told)))
    # Three epochs before the first turn; in it two of 9 s that do not count, one of 5 s that saves, one of 3 s while
    # that is written, two of 2 s.
    seconds = [1, 1, 1, 9, 9, 5, 3, 2, 2]
    clock = itertools.accumulate(itertools.chain.from_iterable((0, length) for length in seconds))
    monkeypatch.setattr(_saving.time, "perf_counter", lambda: next(clock))
    turn = _saving.Turn()
    for epoch in range(len(seconds)):
        turn.begin_epoch(epoch)
        turn.end_epoch(epoch)
    assert waits == [0, 1]
    assert told == [{}, {"stopped": 0, "lost": 4, "epoch": 2}]
    assert [epoch for epoch in range(len(seconds)) if turn.writes_until_now(epoch)] == [0, 6]


def test_the_epoch_that_saves_is_every_sixth_from_the_start():
    """As `checkpoint.epochs: 6` and Keras's `save_freq` count."""
    saving = [epoch for epoch in range(24) if (epoch - _saving.WARM_UP) % _saving.EPOCHS == _saving.SETTLING]
    assert [epoch + 1 for epoch in saving] == [6, 12, 18, 24]


def test_how_long_training_stops_is_counted_within_a_turn_alone(monkeypatch):
    told = []
    monkeypatch.setattr(_turn, "report", lambda **values: told.append(values))
    monkeypatch.setattr(_turn, "wait", lambda: None)
    clock = itertools.count()
    monkeypatch.setattr(_saving.time, "perf_counter", lambda: next(clock))
    turn = _saving.Turn()
    for epoch in range(_saving.WARM_UP + 2 * _saving.EPOCHS):
        turn.begin_epoch(epoch)
        with turn.stopped():
            pass
        turn.end_epoch(epoch)
    assert [one["stopped"] for one in told[1:]] == [_saving.EPOCHS, _saving.EPOCHS]


def test_a_save_before_the_first_epoch_belongs_to_no_turn(monkeypatch):
    told, clock = [], itertools.count()
    monkeypatch.setattr(_turn, "report", lambda **values: told.append(values))
    monkeypatch.setattr(_turn, "wait", lambda: None)
    monkeypatch.setattr(_saving.time, "perf_counter", lambda: next(clock))
    turn = _saving.Turn()
    with turn.stopped():
        pass
    assert told == []
    for epoch in range(_saving.WARM_UP + _saving.EPOCHS):
        turn.begin_epoch(epoch)
        turn.end_epoch(epoch)
    assert [one["stopped"] for one in told[1:]] == [0]
