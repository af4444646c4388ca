"""The shipped experiments, and copies of them."""

import pytest

from kerasrun.errors import DataError, UsageError
from kerasrun.experiment.examples import copy_example, examples
from kerasrun.experiment.load import load
from kerasrun.experiment.resolved import resolved_yaml

NAMES = sorted(examples())


@pytest.fixture(autouse=True)
def _kinds():
    """The kinds that there are, instead of those of the other tests in this folder."""


def test_the_examples_were_found():
    assert {"lenet_directory", "mlp_npz"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_says_the_same_of_the_same_data(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copy, original = (resolved_yaml(load(file).experiment) for file in (copy_example(name), examples()[name].file))
    plugins = f"plugins: [{examples()[name].file.parent}/"
    assert copy == original.replace("/configs/../data/", "/data/").replace(plugins, f"plugins: [{tmp_path}/")
    assert f"kerasrun train {name}.yaml" in (tmp_path / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_listed_with_one_sentence(name):
    assert 20 < len(examples()[name].about) < 130
    assert "\n" not in examples()[name].about


def test_nothing_is_written_over(tmp_path):
    target = tmp_path / "mine.yaml"
    copy_example("mlp_npz.yaml", target)
    before = target.read_text()
    with pytest.raises(DataError, match=r"mine\.yaml: is there already"):
        copy_example("lenet_idx", target)
    assert target.read_text() == before


def test_an_unknown_name_is_told_with_the_nearest_one():
    with pytest.raises(UsageError, match=r"no example 'mlp_nzp'.*did you mean 'mlp_npz'"):
        copy_example("mlp_nzp")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be written: No such file"):
        copy_example("mlp_npz", tmp_path / "none" / "a.yaml")
