"""Tables: what `kerasrun init` writes, trained unchanged, beside scikit-learn's linear models on the same split.

The linear models have what an expert gives them: a `ColumnTransformer` that fills gaps, standardises numbers and makes
a column of each category. Four tables are scikit-learn's own, three are generated; nothing is downloaded. The score is
accuracy, or R² where numbers are predicted.

Example: python -m benchmarks.tables --tables houses churn
"""

import argparse
import csv
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks._command_line import parser_for
from benchmarks._commands import KERASRUN, only_run, run, with_overrides
from benchmarks._table import print_machine, print_table

Row = Mapping[str, str]
HEADER = ["table", "rows", "score", "kerasrun", "scikit-learn", "difference"]
TARGETS = {"diabetes": "progression", "houses": "price"}
"""The columns of numbers to be predicted; elsewhere `label` is that of the class."""
TEST_SHARE = 0.25


def main(argv: Sequence[str] | None = None) -> None:
    """Write, train and measure every table, and print one."""
    parser = parser_for(__doc__)
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES), help="default: all")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="as of kerasrun train")
    given = parser.parse_args(argv)
    print_machine()
    print_table(
        "Tables: what init writes beside linear models", HEADER, [_compared(one, given) for one in given.tables]
    )


def _compared(name: str, given: argparse.Namespace) -> list[str]:
    rows = [dict(one) for one in TABLES[name]()]
    order = np.random.default_rng(7).permutation(len(rows))
    count = round(TEST_SHARE * len(rows))
    test, train = ([rows[place] for place in places] for places in (order[:count], order[count:]))
    score = "R²" if name in TARGETS else "accuracy"
    ours, theirs = _ours(name, train, test, given.set), _theirs(name, train, test)
    print(f"{name}: {ours:.4f} {theirs:.4f}", file=sys.stderr, flush=True)
    return [name, f"{len(rows):,}", score, f"{ours:.4f}", f"{theirs:.4f}", f"{ours - theirs:+.4f}"]


def _ours(name: str, train: Sequence[Row], test: Sequence[Row], overrides: Sequence[str]) -> float:
    with tempfile.TemporaryDirectory(prefix="kerasrun-benchmark-") as temporary:
        folder = Path(temporary)
        (folder / name).mkdir()
        for split, rows in (("train", train), ("test", test)):
            with (folder / name / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        file, runs, label = folder / f"{name}.yaml", folder / "runs", TARGETS.get(name, "label")
        run([*KERASRUN, "init", "--data", str(folder / name), "--label", label, "--output", str(file)])
        run([*KERASRUN, "train", str(file), "-o", str(runs), *with_overrides(*overrides)])
        found = json.loads(run([*KERASRUN, "evaluate", str(only_run(runs)), "--json"]).output)
        return float(found["r2"] if name in TARGETS else found["metrics"]["accuracy"])


def _theirs(name: str, train: Sequence[Row], test: Sequence[Row]) -> float:
    label = TARGETS.get(name, "label")
    known = [column for column in train[0] if column not in (label, "customer_id")]
    numbers = [column for column in known if all(_is_number(_plain(row[column])) for row in train)]
    columns = [*numbers, *(column for column in known if column not in numbers)]

    def inputs(rows: Sequence[Row]) -> Any:
        texts = [[_plain(row[column]) for column in columns] for row in rows]
        values = [[*map(_number, row[: len(numbers)]), *row[len(numbers) :]] for row in texts]
        return np.array(values, dtype=object)

    filled = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    parts = [
        ("numbers", filled, list(range(len(numbers)))),
        ("categories", OneHotEncoder(handle_unknown="ignore"), list(range(len(numbers), len(columns)))),
    ]
    encoder = ColumnTransformer([part for part in parts if part[2]])
    model = Ridge() if name in TARGETS else LogisticRegression(max_iter=2000)
    labels = [[float(row[label]) if name in TARGETS else row[label] for row in rows] for rows in (train, test)]
    return float(make_pipeline(encoder, model).fit(inputs(train), labels[0]).score(inputs(test), labels[1]))


def _plain(text: str) -> str:
    """Return a date as days, and other texts as they are."""
    return str(date.fromisoformat(text).toordinal()) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else text


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def _is_number(text: str) -> bool:
    try:
        _number(text)
    except ValueError:
        return False
    return True


def _of_scikit_learn(load: Callable[[], Any], label: str = "label") -> Iterator[dict[str, str]]:
    bunch = load()
    names = [name.replace(" (cm)", "").replace(" ", "_") for name in bunch.feature_names]
    for values, target in zip(bunch.data, bunch.target, strict=True):
        row = {name: f"{value:.9g}" for name, value in zip(names, values, strict=True)}
        yield row | {label: f"{target:g}" if label != "label" else str(bunch.target_names[target])}


def _houses() -> Iterator[dict[str, str]]:
    """500 houses priced around 300,000, with noise that leaves least squares an R² of about 0.98."""
    random = np.random.default_rng(1)
    for _ in range(500):
        area, rooms, age, distance = random.uniform(40, 250), random.integers(1, 9), *random.uniform(0, [80, 30])
        price = 80_000 + 1500 * area + 9000 * rooms - 800 * age - 2000 * distance + random.normal(0, 11_500)
        yield {
            **{"area": f"{area:.1f}", "rooms": str(rooms), "age": f"{age:.0f}", "distance": f"{distance:.2f}"},
            "price": f"{price:.0f}",
        }


def _churn() -> Iterator[dict[str, str]]:
    """5,000 customers: an id, text, a date, and gaps in all of them."""
    random = np.random.default_rng(2)
    cities = {f"city {number}": random.normal(0, 1) for number in range(40)}
    plans = {"basic": -0.8, "plus": 0.2, "family": 0.7}

    def or_gap(text: str, share: float) -> str:
        return "" if random.random() < share else text

    for number in range(5000):
        age, income, days = random.normal(45, 14), random.lognormal(10.6, 0.4), int(random.integers(0, 1500))
        city, plan = str(random.choice(list(cities))), str(random.choice(list(plans)))
        leaning = (age - 45) / 20 + (income - 43_000) / 25_000 + cities[city] + plans[plan] - (days - 750) / 500
        churned = leaning + random.logistic(0, 0.7) > 0
        yield {
            **{
                "customer_id": f"C{number:05}",
                "age": or_gap(f"{age:.0f}", 0.1),
                "income": or_gap(f"{income:.0f}", 0.05),
            },
            **{"city": or_gap(city, 0.04), "plan": plan},
            **{"signup": or_gap(str(date(2020, 1, 1) + timedelta(days)), 0.03), "label": "yes" if churned else "no"},
        }


def _visits() -> Iterator[dict[str, str]]:
    """200,000 visits of 5,000 shops."""
    random = np.random.default_rng(3)
    shops = random.normal(0, 1.2, 5000)
    shop, hour, spent = random.integers(0, 5000, 200_000), random.integers(0, 24, 200_000), random.normal(0, 1, 200_000)
    leaning = shops[shop] + 0.8 * spent + 0.05 * (hour - 12) + random.logistic(0, 0.6, 200_000)
    for one, at, amount, value in zip(shop, hour, spent, leaning, strict=True):
        yield {
            **{"shop": f"shop {one}", "hour": str(at), "spent": f"{30 + 12 * amount:.2f}"},
            "label": "again" if value > 0 else "once",
        }


TABLES: Mapping[str, Callable[[], Iterator[dict[str, str]]]] = {
    "breast_cancer": lambda: _of_scikit_learn(load_breast_cancer),
    "wine": lambda: _of_scikit_learn(load_wine),
    "diabetes": lambda: _of_scikit_learn(load_diabetes, TARGETS["diabetes"]),
    "iris": lambda: _of_scikit_learn(load_iris),
    "houses": _houses,
    "churn": _churn,
    "visits": _visits,
}


if __name__ == "__main__":
    main()
