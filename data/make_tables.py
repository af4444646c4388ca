"""Write `line.csv`, `houses.csv`, `customers/` and `iris/` beside this file.

Run once, by hand (scikit-learn is needed here and nowhere else):

    pip install scikit-learn
    python data/make_tables.py
"""

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

FOLDER = Path(__file__).parent
SLOPE, INTERCEPT, NOISE, POINTS = 0.5, 2.0, 0.05, 200
TEST_SHARE = 0.2
SEED = 1


def main() -> None:
    generator = np.random.default_rng(SEED)
    x = np.linspace(-1, 1, POINTS)
    y = SLOPE * x + INTERCEPT + generator.normal(0, NOISE, POINTS)
    write(FOLDER / "line.csv", ["x", "y"], [[f"{a:.4f}", f"{b:.4f}"] for a, b in zip(x, y, strict=True)])
    write(FOLDER / "houses.csv", ["area", "rooms", "age", "distance", "price"], list(houses()))
    people = list(customers())
    for split, some in (("train", people[:800]), ("test", people[800:])):
        write(FOLDER / "customers" / f"{split}.csv", ["id", "age", "income", "city", "plan", "signup", "left"], some)
    iris = load_iris()
    names = [name.removesuffix(" (cm)").replace(" ", "_") for name in iris.feature_names]
    rows = [
        [*map(str, values), str(iris.target_names[species])]
        for values, species in zip(iris.data.tolist(), iris.target, strict=True)
    ]
    is_test = chosen_for_test(iris.target)
    for split, chosen in (("train", ~is_test), ("test", is_test)):
        of_split = [rows[row] for row in np.flatnonzero(chosen)]
        write(FOLDER / "iris" / f"{split}.csv", [*names, "species"], of_split)
        species = [str(name) for name in iris.target_names]
        one_hot = [[*values, *("1" if name == one else "0" for one in species)] for *values, name in of_split]
        write(FOLDER / "iris" / f"{split}_one_hot.csv", [*names, *species], one_hot)


def houses() -> Iterator[list[str]]:
    """500 houses priced around 300,000."""
    generator = np.random.default_rng(SEED)
    for _ in range(500):
        area, age, distance = generator.uniform((40, 0, 0), (250, 80, 30))
        rooms = int(generator.integers(1, 9))
        price = 80_000 + 1500 * area + 9000 * rooms - 800 * age - 2000 * distance + generator.normal(0, 11_500)
        yield [f"{area:.1f}", str(rooms), f"{age:.0f}", f"{distance:.2f}", f"{price:.0f}"]


def customers() -> Iterator[list[str]]:
    """1,000 customers, who leave or stay: text, a date, and gaps."""
    generator = np.random.default_rng(SEED)
    cities, plans = {"Bern": -1.0, "Oslo": 1.5, "Porto": 0.0, "Turin": 0.5}, {"basic": -0.8, "plus": 0.1, "family": 0.7}
    for number in range(1000):
        age, income, days = generator.normal(45, 14), generator.lognormal(10.6, 0.4), int(generator.integers(0, 1500))
        city, plan = (str(generator.choice(list(names))) for names in (cities, plans))
        leaning = (age - 45) / 14 + (income - 43_000) / 15_000 + cities[city] + plans[plan] - (days - 750) / 300
        left = "yes" if leaning + generator.logistic(0, 0.7) > 0 else "no"
        signup = str(date(2020, 1, 1) + timedelta(days))
        row = [f"{age:.0f}", f"{income:.0f}", city, plan, signup]
        gaps = generator.random(len(row)) < (0.1, 0.05, 0.04, 0, 0.03)
        yield [f"C{number:04}", *("" if gap else text for gap, text in zip(gaps, row, strict=True)), left]


def chosen_for_test(labels: np.ndarray) -> np.ndarray:
    """A fifth of every class is for testing."""
    generator = np.random.default_rng(SEED)
    is_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        is_test[members[: round(TEST_SHARE * len(members))]] = True
    return is_test


def write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()
