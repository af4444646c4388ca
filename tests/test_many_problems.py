"""What is very much wrong takes time in proportion, and few words."""

import cProfile
import pstats
import re
import time

import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.sources._rows import _one_hot
from kerasrun.sources.csv import Csv
from kerasrun.text.problems import listed
from tests.grids import rest_is_long

CLASSES = ", ".join(f"c{i}" for i in range(500))
SMALLEST = f"data: {{npz: {{path: a.npz, classes: [{CLASSES}]}}}}\nmodel: LeNet\n"


def keys(count):
    return ", ".join(f"k{i}: 1" for i in range(count))


MANY = {
    "sections": lambda n: "".join(f"k{i}: 1\n" for i in range(n)),
    "keys of a section": lambda n: f"fit: {{{keys(n)}}}\n",
    "arguments": lambda n: f"compile: {{optimizer: {{Adam: {{{keys(n)}}}}}}}\n",
    "callbacks": lambda n: f"callbacks: [{', '.join(f'Early{i}' for i in range(n))}]\n",
    "stages": lambda n: f"stages: [{', '.join(['{epoch: 1}'] * n)}]\n",
    "generator": lambda n: f"augmentation: {{ImageDataGenerator: {{{keys(n)}}}}}\n",
    "merges": lambda n: f"fit: {{<<: [{', '.join(f'{{k{i}: 1}}' for i in range(n))}]}}\n",
    "lines of merges": lambda n: "fit:\n" + "".join(f"  <<: {{k{i}: 1}}\n" for i in range(n)),
    "class weights": lambda n: f"fit: {{class_weight: {{{keys(n)}}}}}\n",
}


def told(text):
    with pytest.raises(ExperimentError) as error:
        parse(text, "e.yaml")
    return str(error.value)


@pytest.mark.parametrize("what", rest_is_long(MANY, short=3))
def test_very_many_problems_take_time_in_proportion_and_few_are_told(what):
    told(SMALLEST + MANY[what](1))
    calls = []
    for count in (500, 2000):
        profile = cProfile.Profile()
        lines = profile.runcall(told, SMALLEST + MANY[what](count)).splitlines()
        calls.append(pstats.Stats(profile).total_calls)
        assert re.fullmatch(r"and [\d,]+ more: [\d,]+ problems", lines[-1])
        assert sum(line.startswith("e.yaml:") for line in lines) == 20
    assert (calls[1] - calls[0]) / 1500 < 1500  # for each problem


@pytest.mark.long
def test_inputs_of_layers_that_are_not_there_take_time_in_proportion():
    layers = ", ".join(f"{{Dense: {{units: 1, name: a{i}, inputs: [b{i}]}}}}" for i in range(1900))
    begin = time.process_time()
    text = told(f"data: {{npz: {{path: a.npz}}}}\nmodel: {{layers: [{layers}]}}\n")
    assert time.process_time() - begin < 4
    assert text.endswith("and 1,880 more: 1,900 problems")
    assert len(text) < 50_000


@pytest.mark.long
def test_a_kind_among_very_many_keys_is_found_in_proportion():
    begin = time.process_time()
    assert "expected csv, directory" in told(f"data: {{{keys(20_000)}}}\nmodel: LeNet\n")
    assert time.process_time() - begin < 10


def test_a_huge_key_is_told_in_part():
    assert len(told(SMALLEST + f"{'k' * 10**6}: 1\n")) < 10_000


def test_of_very_many_names_the_first_are_listed():
    text = listed([f"n{i}" for i in range(1050)])
    assert text.startswith("n0, n1, ")
    assert text.endswith("n49 and 1,000 more")
    assert listed(["a", "b", "c"]) == "a, b or c"


def test_a_header_of_very_many_columns_is_read_in_proportion(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(
        ",".join([*(f"c{i}" for i in range(50_000)), "y"])
        + "\n"
        + "".join("1," * 50_000 + end for end in ("2\n", "3\n"))
    )
    begin = time.process_time()
    names = tuple(f"c{i}" for i in range(49_999, -1, -1))
    data = Csv(train=file, target="y", features=names).open()
    assert time.process_time() - begin < 8
    assert data.splits["train"].inputs.example_shape == (50_000,)


def test_one_hot_columns_are_found_in_proportion_among_very_many():
    zeros = [["0"] * 30_000 for _ in range(3)]
    begin = time.process_time()
    assert _one_hot(zeros) is None
    assert _one_hot([["7", "3", *row[:2], "1"] for row in zeros]) == 2
    assert _one_hot([["7", "0", "1"], ["7", "1", "0"]]) == 2
    assert time.process_time() - begin < 5
