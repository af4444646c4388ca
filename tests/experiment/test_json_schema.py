"""The schema for editors: what tests/editors tries with the language server, as far as no server is needed."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from kerasrun.components import kinds
from kerasrun.errors import DataError
from kerasrun.experiment.draft import draft_experiment
from kerasrun.experiment.examples import copy_example
from kerasrun.experiment.json_schema import json_schema, schema_text
from kerasrun.experiment.meanings import meaning
from kerasrun.experiment.new_files import MODELINE, SCHEMA, write_new, write_schema
from kerasrun.experiment.refused import refusal
from kerasrun.experiment.schema import Experiment, Fit
from kerasrun.keras_catalogue import names, signature
from tests.docs.conftest import ROOT


@pytest.fixture(autouse=True)
def _kinds():
    """The kinds that there are, instead of those of the other tests in this folder."""


@pytest.fixture(scope="module")
def schema():
    return json_schema()


def refs(value):
    if isinstance(value, dict):
        yield from (one for one in [value.get("$ref")] if one)
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        yield from refs(one)


def test_every_reference_leads_to_a_definition(schema):
    assert len(set(refs(schema))) > 500
    for ref in set(refs(schema)):
        _, _, variant, name = ref.split("/")
        assert schema["$defs"][variant][name]


@pytest.mark.parametrize("variant", ["strict", "open"])
def test_every_key_is_there_with_its_meaning(schema, variant):
    defs = schema["$defs"][variant]
    for model in (Experiment, Fit, *kinds("kerasrun.sources").values(), *kinds("kerasrun.models").values()):
        properties = defs[model.__name__]["properties"]
        assert properties.keys() - {"base"} == model.model_fields.keys()
        assert all(properties[name]["description"] == meaning(model, name) for name in model.model_fields)


@pytest.mark.parametrize("family", ["layers", "optimizers", "losses", "metrics", "callbacks", "schedules"])
def test_every_object_of_keras_is_there_with_its_arguments(schema, family):
    defs = schema["$defs"]["strict"]
    for name in names(family):
        if refusal(family, name):
            assert f"{family}.{name}" not in defs
        else:
            (arguments, *_) = defs[f"{family}.{name}"]["anyOf"]
            assert {one.name for one in signature(family, name).parameters} <= arguments["properties"].keys()
            assert defs[f"{family}.{name}"]["description"]


def test_it_is_printed_without_tensorflow_and_keras():
    code = """
import sys
from kerasrun.cli import app
try:
    app(["schema"])
finally:
    assert not {"tensorflow", "keras", "matplotlib"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["$defs"]


def test_init_names_it_in_the_first_line_and_writes_it_beside(tmp_path):
    copy_example("mlp_npz", tmp_path / "a.yaml")
    assert (tmp_path / "a.yaml").read_text(encoding="utf-8").startswith(MODELINE)
    assert json.loads((tmp_path / SCHEMA).read_text(encoding="utf-8")) == json_schema()


def test_a_draft_names_it_too(tmp_path):
    (tmp_path / "table.csv").write_text("a,b,label\n" + "1,2,x\n3,4,y\n" * 20, encoding="utf-8")
    target = draft_experiment(tmp_path / "table.csv", tmp_path / "a.yaml")
    assert target.read_text(encoding="utf-8").startswith(MODELINE)
    assert (tmp_path / SCHEMA).is_file()


def test_an_earlier_schema_is_replaced_and_nothing_else_is(tmp_path):
    (tmp_path / SCHEMA).write_text(schema_text()[:200], encoding="utf-8")
    write_schema(tmp_path / SCHEMA)
    assert "$defs" in json.loads((tmp_path / SCHEMA).read_text(encoding="utf-8"))
    (tmp_path / "a.yaml").write_text("data:")
    with pytest.raises(DataError, match=r"a\.yaml: is there already, and is not written over"):
        write_schema(tmp_path / "a.yaml")
    assert (tmp_path / "a.yaml").read_text() == "data:"


def test_a_full_disk_leaves_no_half_file_and_the_earlier_schema(tmp_path):
    (tmp_path / SCHEMA).write_text(schema_text()[:200], encoding="utf-8")
    before, (soft, hard) = (tmp_path / SCHEMA).read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        for name in ("new.json", SCHEMA):
            with pytest.raises(DataError, match=rf"{name}: cannot be written: File too large"):
                write_schema(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {SCHEMA: before}


def test_a_schema_behind_a_link_is_not_written_through(tmp_path):
    write_schema(tmp_path / "kept.json")
    before = (tmp_path / "kept.json").stat().st_mtime_ns
    (tmp_path / SCHEMA).symlink_to("kept.json")
    write_schema(tmp_path / SCHEMA)
    assert not (tmp_path / SCHEMA).is_symlink()
    assert (tmp_path / "kept.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_has_its_name_only_when_it_is_whole(tmp_path, monkeypatch, links):
    """A kill leaves what is there when the content has been written."""
    target, seen = tmp_path / "a.yaml", []
    write = Path.write_text

    def look(path, text, **options):
        write(path, text, **options)
        seen.append((target.exists(), path.read_text(encoding="utf-8")))

    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "write_text", look)
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    write_new(target, "é: 1\n")
    assert seen == [(False, "é: 1\n")]
    with pytest.raises(DataError, match="is there already"):
        write_new(target, "another")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.yaml", "é: 1\n")]
