"""How many steps are fused."""

from kerasrun.engine import chunks
from kerasrun.engine.chunks import ChunkSize


def after(monkeypatch, *measurements):
    """The size of the next chunk after chunks that took (steps, seconds)."""
    clock = iter([0.0])
    now = 0.0
    times = []
    for _, seconds in measurements:
        times += [now, now + seconds]
        now += seconds
    clock = iter(times)
    monkeypatch.setattr(chunks.time, "perf_counter", lambda: next(clock))
    size = ChunkSize()
    for steps, _ in measurements:
        with size.measured(steps):
            pass
    return size.next(remaining=10**6)


def test_the_first_call_is_not_counted_because_it_traces(monkeypatch):
    assert after(monkeypatch, (1, 5.0)) == 1


def test_chunks_grow_towards_half_a_second(monkeypatch):
    assert after(monkeypatch, (1, 5.0), (1, 0.001)) == 4
    assert after(monkeypatch, (1, 5.0), (1, 0.001), (4, 0.004), (16, 0.016)) == 64
    assert after(monkeypatch, (1, 5.0), (400, 0.4)) == 500


def test_slow_steps_are_taken_one_by_one(monkeypatch):
    assert after(monkeypatch, (1, 5.0), (1, 3.0)) == 1


def test_a_chunk_ends_with_the_epoch():
    assert ChunkSize(fixed=16).next(remaining=3) == 3
