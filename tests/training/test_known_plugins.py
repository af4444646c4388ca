"""A run is code if it has plugins: they are imported unasked only where this user began the run."""

import hashlib
import json
import os
import pty
import shutil
import subprocess
import sys
import zipfile

import pytest

import kerasrun
from kerasrun import known_plugins, model_file, plugins
from kerasrun.errors import ModelFileError, PluginError
from kerasrun.results.model import open_model
from kerasrun.runs.directory import open_run
from kerasrun.training.resuming import branching
from kerasrun.training.resuming.branching import Branch
from kerasrun.training.verification import verify
from tests.training.conftest import DIGITS
from tests.training.test_plugins import EXPERIMENT, PLUGIN

pytestmark = pytest.mark.tensorflow

MARK = "\nimport pathlib\npathlib.Path(__file__).with_suffix('.imported').touch()\n"


@pytest.fixture(autouse=True)
def no_plugins_afterwards():
    yield
    plugins.use(())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    state = folder / "state"
    shutil.copy(DIGITS, folder)
    (folder / "own.py").write_text(PLUGIN + MARK)
    (folder / "run.yaml").write_text(EXPERIMENT.replace("epochs: 9", "epochs: 1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(state))
        run = kerasrun.train(folder / "run.yaml", output=folder / "runs")
        patch.setenv("XDG_STATE_HOME", str(folder / "another"))
        yield run, state


@pytest.fixture
def stranger(made, tmp_path, monkeypatch):
    """The run as it came from someone else."""
    monkeypatch.setattr("kerasrun.known_plugins._allowed", set())
    shutil.copytree(made[0].root, tmp_path / "run-1")
    (tmp_path / "run-1/plugins/own.imported").unlink(missing_ok=True)
    return open_run(tmp_path / "run-1")


COMMANDS = {
    "evaluate": lambda run, **trust: kerasrun.evaluate(run, **trust),
    "resume": lambda run, **trust: kerasrun.resume(run, overrides=["fit.epochs=2"], **trust),
    "export": lambda run, **trust: kerasrun.export(run, "keras", **trust),
    "predict": lambda run, **trust: kerasrun.predict(_examples(run), model=run.best_model, **trust),
    "summary and plot": lambda run, **trust: open_model(run.best_model, "cpu", **trust),
    "--from": lambda run, **trust: branching.find(Branch(run), **trust),
    "verify": lambda run, **trust: verify(run, steps=4, output=run.root.parent, **trust),
}


def _examples(run):
    import numpy as np

    np.save(run.root.parent / "examples.npy", np.zeros((1, 32, 32, 1), np.float32))
    return run.root.parent / "examples.npy"


def _name_plugins(model, plugins):
    with zipfile.ZipFile(model) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    entries["kerasrun.json"] = json.dumps({**json.loads(entries["kerasrun.json"]), "plugins": plugins})
    with zipfile.ZipFile(model, "w") as new:
        for name, content in entries.items():
            new.writestr(name, content)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_plugin_of_a_run_is_refused_without_a_terminal(stranger, command):
    file = stranger.plugins / "own.py"
    with pytest.raises(PluginError, match=rf"{file} .*give --trust") as refused:
        COMMANDS[command](stranger)
    assert hashlib.sha256(file.read_bytes()).hexdigest() in str(refused.value)
    assert not (stranger.plugins / "own.imported").exists()


@pytest.mark.long
def test_a_plugin_that_gives_the_data_is_not_run_before_it_is_asked_about(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasrun.known_plugins._allowed", set())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    code = "import numpy\ndef mine(split):\n    return numpy.eye(4), [0, 1, 0, 1]\n"
    (tmp_path / "own.py").write_text(code + MARK)
    (tmp_path / "run.yaml").write_text("plugins: [own.py]\ndata: mine\nmodel: {MLP: {units: [2]}}\nfit: {epochs: 1}\n")
    run = kerasrun.train(tmp_path / "run.yaml", output=tmp_path / "runs")
    (tmp_path / "own.imported").unlink()
    monkeypatch.setattr("kerasrun.known_plugins._allowed", set())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    with pytest.raises(PluginError, match="give --trust"):
        COMMANDS["resume"](run)
    assert not (run.plugins / "own.imported").exists()


@pytest.mark.parametrize("command", ["evaluate", "--from", "predict"])
def test_trust_or_a_run_of_ones_own_is_not_asked_about(stranger, made, command, monkeypatch):
    COMMANDS[command](stranger, trust=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(made[1]))
    COMMANDS[command](stranger)


def test_the_list_is_that_of_sha256sum(made):
    run, state = made
    digest = hashlib.sha256((run.plugins / "own.py").read_bytes()).hexdigest()
    assert (state / "kerasrun/plugins").read_text() == f"{digest}  own.py\n"


def test_a_plugin_that_only_training_needs_is_asked_about_too(stranger):
    """The model file names the plugins of its layers; a loss is imported because the experiment names it."""
    _name_plugins(stranger.best_model, {})
    with pytest.raises(PluginError, match="give --trust"):
        kerasrun.evaluate(stranger)


@pytest.mark.parametrize("name", ["{elsewhere}/own.py", "../../elsewhere/own.py", "..\\own.py"])
def test_names_of_plugins_do_not_leave_the_run(stranger, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(stranger.plugins / "own.py", elsewhere)
    name = name.format(elsewhere=elsewhere)
    digest = hashlib.sha256((elsewhere / "own.py").read_bytes()).hexdigest()
    _name_plugins(stranger.best_model, {name: digest})
    with pytest.raises(ModelFileError, match="name of a Python file alone"):
        model_file.load(stranger.best_model, trust=True)
    text = stranger.resolved_file.read_text()
    stranger.resolved_file.write_text(text.replace("plugins/own.py", str(elsewhere / "own.py")))
    stranger.update_run(resolved_sha256=[hashlib.sha256(stranger.resolved_file.read_bytes()).hexdigest()])
    with pytest.raises(PluginError, match="in its own folder"):
        kerasrun.resume(stranger, overrides=["fit.epochs=2"], trust=True)


@pytest.mark.parametrize(("answer", "asks_again"), [(b"y\n", False), (b"\n", True)])
def test_a_terminal_is_asked_once(stranger, tmp_path, answer, asks_again):
    code = "import sys; from kerasrun import model_file; model_file.check(__import__('pathlib').Path(sys.argv[1]))"
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "new")}
    said = b""
    for _ in range(2):
        ours, theirs = pty.openpty()
        os.write(ours, answer)
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(stranger.best_model)], stdin=theirs, stderr=theirs, env=environment
        )
        process.wait(60)
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 65536):
                said += piece
        except OSError:
            pass  # Linux's way to say that the other end is closed
        os.close(ours)
        assert (process.returncode == 0) != asks_again
    assert (b"Run it with your rights" in said) is asks_again
    assert (str(stranger.plugins / "own.py").encode() in said) is asks_again


@pytest.mark.parametrize("home", [None, "/nonexistent/home", "relative"])
def test_a_missing_home_is_a_warning(home, monkeypatch, caplog):
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # which its specification has programs pass over
    monkeypatch.delenv("HOME")
    if home:
        monkeypatch.setenv("HOME", home)
    else:
        monkeypatch.setattr("pwd.getpwuid", lambda _: (_ for _ in ()).throw(KeyError()))
    monkeypatch.setattr(known_plugins.Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(PermissionError("no")))
    monkeypatch.setattr(known_plugins, "_allowed", set())
    known_plugins.remember({"own.py": "0" * 64})
    assert "need --trust" in caplog.text
