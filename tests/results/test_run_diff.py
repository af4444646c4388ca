"""`diff`: each thing that differs between runs is named, and nothing else."""

import json

import numpy as np
import pytest

import kerasrun
from kerasrun import cli
from kerasrun.engine.prepared import open_data
from kerasrun.errors import DamagedFileError, UsageError
from kerasrun.experiment.load import load
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.results.run_diff import _escaped
from kerasrun.runs.directory import create
from kerasrun.runs.environment import environment
from kerasrun.runs.metrics import Table

EXPERIMENT = (
    "data: {npz: {path: a.npz}}\nmodel: {layers: [{Dense: {units: 4}}, Dropout: {rate: 0.1}]}\n"
    "fit: {epochs: 2, validation_split: 0.5}\n"
)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Make a run of the experiment with changes, which ended with such an accuracy."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "small.yaml"
    labels = np.array([0, 1, 0, 1])

    def make(*overrides, accuracy=0.5, text=EXPERIMENT, changed_data=False, **fields):
        file.write_text(text, encoding="utf-8")
        np.savez("a.npz", x_train=np.ones((4, 2), np.float32), y_train=1 - labels if changed_data else labels)
        experiment = load(file, overrides).experiment
        run = create(tmp_path / "runs", "small")
        run.update_run(**environment(tmp_path), resolved_sha256=[""], overrides=list(overrides))
        run.write_resolved(resolved_yaml(experiment))
        known = {
            **{"status": "finished", "seed": experiment.seed, "plugins": {}, "shards": 1},
            **{"best": {"monitor": "loss", "value": 0.1, "epoch": 1}, "classes": ["0", "1"]},
            **{"data_fingerprint": open_data(experiment).fingerprint},
        }
        run.update_run(**{**known, **fields})
        Table(run.metrics_file).append({"epoch": 1, "loss": 0.25, "accuracy": accuracy})
        Table(run.timings_file).append({"epoch": 1, "seconds": 2.0, "examples_per_second": 1.0})
        return run

    return make


def test_a_seed_an_override_a_file_of_data_and_a_version_are_named_and_nothing_else(made):
    first = made()
    versions = {**first.read_run()["versions"], "keras": "3.99.0"}
    second = made("seed=2", "fit.batch_size=16", changed_data=True, versions=versions, accuracy=0.75)
    found = kerasrun.diff(first, second)
    fingerprints = tuple(run.read_run()["data_fingerprint"] for run in (first, second))
    assert [(one.section, one.name, one.values) for one in found.differences] == [
        ("experiment", "seed", (1, 2)),
        ("experiment", "fit.batch_size", (32, 16)),
        ("data", "data_fingerprint", fingerprints),
        ("versions", "versions.keras", (first.read_run()["versions"]["keras"], "3.99.0")),
    ]
    lines = [line.split() for line in found.to_text().splitlines()]
    assert ["seed", "1", "2"] in lines
    assert ["data_fingerprint", *(one[:12] for one in fingerprints)] in lines
    assert ["accuracy", "0.5", "0.75", "+0.25"] in lines
    assert ["loss", "0.25", "0.25", "+0"] in lines
    assert len(lines) == 1 + 3 + 4 + 1 + 1 + len(found.metrics)


def test_of_equal_runs_it_says_that_nothing_differs(made):
    first, second = made("name=other", bases={"1-base.yaml": "/here/base.yaml"}), made()
    assert kerasrun.diff(first, second).to_text().startswith("nothing differs in experiment, data, code,")


def test_layers_that_not_all_have_are_named_and_keys_within_those_that_all_have(made):
    first, other_rate = made(), made(text=EXPERIMENT.replace("0.1", "0.2"))
    (one,) = kerasrun.diff(first, other_rate).differences
    assert (one.name, one.values) == ("model.layers.1.Dropout.rate", (0.1, 0.2))
    (one,) = kerasrun.diff(first, made(text=EXPERIMENT.replace(", Dropout: {rate: 0.1}", ""))).differences
    assert (one.name, one.values) == ("model.layers", ([{"Dropout": {"rate": 0.1}}], []))


def test_code_and_machine_are_told_apart(made):
    found = kerasrun.diff(
        made(plugins={"own.py": "a" * 64}), made(plugins={"own.py": "b" * 64}, host="other", shards=2)
    )
    assert [(one.section, one.name) for one in found.differences] == [
        *(("code", "plugins.own.py"), ("machine", "host"), ("machine", "shards"))
    ]


def test_of_several_runs_the_differences_are_from_the_first(made):
    found = kerasrun.diff(*(made(f"seed={seed}", accuracy=seed / 10) for seed in (1, 2, 3)))
    (line,) = [line.split() for line in found.to_text().splitlines() if "accuracy" in line]
    assert line == ["accuracy", "0.1", "0.2", "0.3", "+0.1", "+0.2"]


def test_programs_and_pages_get_the_same(made, capsys):
    made(), made("seed=2", class_weight={"a|b": 1.0})

    def printed(*options):
        cli.app(["diff", "small-1", "small-2", *options], standalone_mode=False)
        return capsys.readouterr().out

    read = json.loads(printed("--json"))
    assert read["runs"] == ["runs/small-1", "runs/small-2"]
    assert read["differences"][0] == {"section": "experiment", "name": "seed", "values": [1, 2]}
    assert read["metrics"]["accuracy"] == [0.5, 0.5]
    page = printed("--md")
    assert "| experiment | seed | 1 | 2 |\n" in page
    assert "| data | class\\_weight | - | {a\\|b: 1.0} |\n" in page


def test_curves_are_drawn_over_each_other(made, tmp_path, capsys):
    made(), made("seed=2")
    cli.app(["diff", "small-1", "small-2", "--plot", "both.svg"], standalone_mode=False)
    assert "<svg" in (tmp_path / "both.svg").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match=r"ends in \.png or \.svg"):
        cli.app(["diff", "small-1", "small-2", "--plot", "both.txt"], standalone_mode=False)


def test_one_run_or_the_same_twice_is_refused(made):
    run = made()
    for runs in ([run], [run, run.root]):
        with pytest.raises(UsageError, match="two runs or more"):
            kerasrun.diff(*runs)


def test_a_damaged_run_is_named(made):
    first, second = made(), made()
    second.metrics_file.write_text("epoch,loss\n1,x\n")
    with pytest.raises(DamagedFileError, match=r"small-2/metrics\.csv:2"):
        kerasrun.diff(first, second)


def test_markdown_shows_what_a_run_says_and_does_nothing_with_it():
    hostile = "<img src=x onerror=alert(1)> ![a](http://e/x.png) `|` \\ &lt;"
    assert _escaped(hostile) == (r"\<img src=x onerror=alert(1)> \!\[a](http://e/x.png) \`\|\` \\ \&lt;")
