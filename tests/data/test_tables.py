"""The shipped tables are what data/README.md says."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[2] / "data"


def rows(name):
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_points_lie_about_their_line():
    points = np.array([[float(row["x"]), float(row["y"])] for row in rows("line.csv")])
    assert points.shape == (200, 2)
    slope, intercept = np.polyfit(*points.T, 1)
    assert slope == pytest.approx(0.5, abs=0.02)
    assert intercept == pytest.approx(2, abs=0.02)
    assert np.std(points[:, 1] - slope * points[:, 0] - intercept) == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize(("split", "of_each"), [("train", 40), ("test", 10)])
def test_every_species_has_the_same_share_of_each_split(split, of_each):
    found = Counter(row["species"] for row in rows(f"iris/{split}.csv"))
    assert found == {"setosa": of_each, "versicolor": of_each, "virginica": of_each}


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_hot_rows_are_those_of_the_same_flowers(split):
    for named, one_hot in zip(rows(f"iris/{split}.csv"), rows(f"iris/{split}_one_hot.csv"), strict=True):
        species = named.pop("species")
        assert one_hot == {
            **named,
            **{name: str(int(name == species)) for name in ("setosa", "versicolor", "virginica")},
        }


def test_houses_leave_least_squares_a_known_share():
    values = np.array([[float(value) for value in row.values()] for row in rows("houses.csv")])
    x, y = np.hstack([values[:, :-1], np.ones((500, 1))]), values[:, -1]
    residuals = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert y.mean() == pytest.approx(300_000, rel=0.1)
    assert 1 - residuals.var() / y.var() == pytest.approx(0.985, abs=0.005)


def test_customers_have_gaps_in_every_kind_of_column():
    train, test = rows("customers/train.csv"), rows("customers/test.csv")
    assert (len(train), len(test)) == (800, 200)
    gaps = Counter(name for row in train for name, value in row.items() if not value)
    assert {name: count / 800 for name, count in gaps.items()} == pytest.approx(
        {"age": 0.1, "income": 0.05, "city": 0.04, "signup": 0.03}, abs=0.025
    )
    assert len({row["id"] for row in (*train, *test)}) == 1000


def test_the_flowers_are_those_of_the_article():
    # Rows 35 and 38 of the article, which the file of the repository has as (4.9, 3.1, 1.5, 0.1) both.
    flowers = [tuple(row.values()) for split in ("train", "test") for row in rows(f"iris/{split}.csv")]
    assert ("4.9", "3.1", "1.5", "0.2", "setosa") in flowers
    assert ("4.9", "3.6", "1.4", "0.1", "setosa") in flowers
