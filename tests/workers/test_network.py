"""What adding up takes more workers, calculated by hand and by the table of docs/scale-out.md."""

import pytest

from kerasrun.workers.network import LARGE, Network


def test_what_was_measured_comes_out_again():
    # Two workers: two passes of half of it. 1 KB is all message, the rest of 200 ms goes 100 MB at 0.5 GB/s.
    found = Network.measured(0.001, 0.201, workers=2)
    assert (found.message, found.speed) == (0.0005, pytest.approx(0.5e9))
    assert found.seconds(LARGE, workers=2) == pytest.approx(0.201)


def test_four_workers_pass_on_quarters_six_times():
    assert Network("", 0.0005, 0.5e9).seconds(LARGE, workers=4) == pytest.approx(6 * (0.0005 + 25e6 / 0.5e9))


@pytest.mark.parametrize(
    ("learns", "workers", "gigabits", "milliseconds"),
    [(61_706, 8, 10, 4.4), (138_357_544, 8, 10, 972), (138_357_544, 64, 100, 144)],
)
def test_networks_on_paper_are_those_of_the_documentation(learns, workers, gigabits, milliseconds):
    found = Network.on_paper(gigabits).seconds(4 * learns, workers)
    assert 1000 * found == pytest.approx(milliseconds, rel=0.02)
