from benchmarks._rounds import Spread, ratio, spread, take_turns


def test_every_contender_is_measured_once_a_round_and_each_round_begins_with_the_next():
    order = []

    def measure(name):
        order.append(name)
        return len(order)

    values = take_turns(["a", "b", "c"], 3, measure)
    assert "".join(order) == "abcbcacab"
    assert values == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_spread_is_the_median_between_least_and_largest():
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)


def test_ratio_is_of_medians_and_its_spread_within_rounds():
    assert ratio([2.0, 4.0, 9.0], [1.0, 4.0, 3.0]) == Spread(4 / 3, 1.0, 3.0)
