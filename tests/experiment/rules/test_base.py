"""What every rule promises."""

import importlib

import pytest

from kerasrun.experiment import rules
from kerasrun.experiment.load import parse
from kerasrun.experiment.rules.base import Facts, facts_of_text, problems
from kerasrun.families import members

RULES = members(rules.__path__)
TEXT = "data: {folder: {path: x, classes: [cat, dog], image_size: [8, 9]}}\nmodel: Small\n"


def test_the_rules_were_found():
    assert len(RULES) > 5


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_nothing_of_what_is_not_known(name):
    loaded = parse(TEXT, "e.yaml")
    check = importlib.import_module(f"{rules.__name__}.{name}").check
    assert check(None, Facts(), loaded.document) == []
    assert check(loaded.experiment, Facts(), loaded.document) == []


def test_the_same_rules_run_after_the_text_and_when_the_data_are_open():
    loaded = parse(
        TEXT + "fit: {class_weight: {cat: 2}, validation_steps: 3}\ncheckpoint: {monitor: val_loss}", "e.yaml"
    )
    facts = Facts("classes", ("bird", "dog"), validates=False)
    found = [problem.key_path for problem in problems(loaded.experiment, facts, loaded.document)]
    assert sorted(found) == ["checkpoint.monitor", "fit.class_weight.cat", "fit.validation_steps"]


def test_the_experiment_says_what_it_knows_of_its_data():
    loaded = parse(TEXT + "fit: {validation_split: 0.1}", "e.yaml")
    facts = facts_of_text(loaded.experiment.data, loaded.document)
    assert facts == Facts("classes", ("cat", "dog"), validates=True)
    assert facts_of_text(None, parse(TEXT, "e.yaml").document) == Facts()
