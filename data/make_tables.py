"""Write `line.csv` and `iris/` beside this file.

Run once, by hand (scikit-learn is needed here and nowhere else):

    pip install scikit-learn
    python data/make_tables.py
"""

import csv
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
