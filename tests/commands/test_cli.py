"""The command line: exit codes, and what goes to stdout and to stderr."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from kerasrun import commands
from kerasrun.cli import app
from kerasrun.families import members
from tests import forked

ROOT = Path(__file__).parents[2]
COMMANDS = members(commands.__path__)


def kerasrun(*arguments, cwd=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "kerasrun", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_every_command():
    done = kerasrun("--help")
    assert done.returncode == 0
    assert {"init", "train", "resume", "export"} < set(COMMANDS)
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_help_says_in_whole_sentences_what_each_command_is_for(columns):
    said = " ".join(CliRunner(env={"COLUMNS": str(columns)}).invoke(app, ["--help"]).stdout.split())
    groups = ("Write an experiment:", "Train it:", "Use what was trained:", "Look at runs and networks:")
    places = [said.index(group) for group in groups]
    assert places == sorted(places)
    for command in typer.main.get_command(app).commands.values():
        sentence = " ".join(command.help.partition("\n\n")[0].split())
        assert sentence.endswith(".")
        assert f"{command.name} {sentence}" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_ends_in_an_example(name):
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert f"Example: kerasrun {name}" in " ".join(done.stdout.split())


def test_the_version_is_printed():
    from kerasrun.version import VERSION

    assert kerasrun("--version").stdout == f"kerasrun {VERSION}\n"


@pytest.mark.parametrize("arguments", [["trian"], ["train"], ["train", "a.yaml", "--fast"], ["evaluate", "--json=3"]])
def test_a_wrong_command_line_is_exit_2(arguments):
    done = kerasrun(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--epoch", "3"],
            "--epoch says which weights of a run: name the run with --from RUN; to say how many epochs to train: "
            "--epochs N",
        ),
        (["--best"], "--best says which weights of a run: name the run with --from RUN"),
        (["--from", "a-1", "--best", "--last"], "--best and --last all name weights of the run; give one of them"),
        (
            ["--from", "a-1", "--last", "--epoch", "3"],
            "--last and --epoch all name weights of the run; give one of them",
        ),
    ],
)
def test_which_weights_of_which_run_is_said_once(options, said):
    done = kerasrun("train", "a.yaml", *options)
    assert (done.returncode, done.stderr) == (2, f"{said}\n")


@pytest.mark.parametrize(
    "options", [["--label", "y"], ["--label", ""], ["--split", "80/20"], ["--split", ""], ["--download"]]
)
def test_init_needs_data_for_what_is_said_of_them(options):
    done = kerasrun("init", *options)
    assert done.returncode == 2
    assert done.stderr.startswith(options[0])
    assert "with --data PATH" in done.stderr


def test_a_wrong_experiment_is_exit_2_with_every_problem_at_its_place(tmp_path):
    (tmp_path / "wrong.yaml").write_text("data: {npz: {path: a.npz}}\nmodel: LeNte\nfit: {epoch: 3}\n")
    done = kerasrun("train", "wrong.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "wrong.yaml:2:8: model" in done.stderr
    assert "did you mean 'LeNet'?" in done.stderr
    assert "wrong.yaml:3:7: fit.epoch" in done.stderr
    assert "did you mean 'epochs'?" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_missing_data_are_exit_1_and_leave_no_run(tmp_path):
    (tmp_path / "a.yaml").write_text("data: {npz: {path: none.npz}}\nmodel: LeNet\n")
    done = kerasrun("train", "a.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("reading none.npz\nerror: ")
    assert str(tmp_path / "none.npz") in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["resume", "evaluate", "summary", "plot"])
def test_no_run_yet_is_exit_1_and_says_how_to_begin(command, tmp_path):
    done = kerasrun(command, cwd=tmp_path)
    assert done.returncode == 1
    assert "no run in runs yet; start one with kerasrun train FILE" in done.stderr


@pytest.mark.parametrize("command", ["resume", "evaluate", "summary", "plot"])
def test_a_foreign_folder_is_not_taken_for_a_run(command, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    done = kerasrun(command, "photos", cwd=tmp_path)
    assert done.returncode == 1
    assert "is not a run: it has no run.json" in done.stderr
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_runs_lists_nothing_where_there_is_nothing(tmp_path):
    assert "no runs here yet" in kerasrun("runs", cwd=tmp_path).stdout
    assert json.loads(kerasrun("runs", "--json", cwd=tmp_path).stdout) == []


def test_runs_names_the_groups_that_have_runs_of_their_own(tmp_path):
    (tmp_path / "runs" / "iris-sweep-1").mkdir(parents=True)
    (tmp_path / "runs" / "iris-sweep-1" / "group.json").touch()
    told = "groups of runs: iris-sweep-1; kerasrun runs -o runs/iris-sweep-1"
    assert kerasrun("runs", cwd=tmp_path).stdout == f"no runs here yet; {told}\n"
    (tmp_path / "runs" / "iris-1").mkdir()
    (tmp_path / "runs" / "iris-1" / "run.json").touch()
    assert kerasrun("runs", cwd=tmp_path).stderr == f"{told}\n"


def test_a_bug_is_exit_3_with_a_report_and_without_a_traceback(tmp_path):
    code = (
        "import kerasrun.runs.listing as listing\n"
        "def broken(output): raise KeyError('something nobody thought of')\n"
        "listing.list_runs = broken\n"
        "import sys; sys.argv = ['kerasrun', 'runs']\n"
        "from kerasrun.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "this is a bug in kerasrun" in done.stderr
    assert "Traceback" not in done.stderr
    (report,) = tmp_path.glob("kerasrun-*.txt")
    assert "something nobody thought of" in report.read_text()
    assert str(report) in done.stderr


@pytest.mark.parametrize("command", ["evaluate", "resume", "predict", "report", "plot", "export", "summary", "rm"])
def test_a_name_that_no_system_takes_is_no_bug(command, tmp_path):
    more = {"export": ("--format", "keras"), "predict": ("--model", f"{'m' * 300}.keras")}.get(command, ())
    done = kerasrun(command, "r" * 300, *more, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert re.match(r"error: \S*(r{300}|m{300})\S*:? .*[Ff]ile name too long", done.stderr)


def test_python_m_runs_no_file_of_the_working_directory(tmp_path):
    for name in ("typing", "random", "enum", "json", "typer", "yaml"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    done = kerasrun("runs", cwd=tmp_path)
    assert (done.returncode, done.stdout[:4]) == (0, "no r")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("options", "folder"),
    [((), "kerasrun"), ((), "kerasrun.runfiles/org_tensorflow"), (("-X", "dev"), "dev")],
)
def test_tensorflow_runs_no_library_of_the_working_directory(options, folder, tmp_path):
    kernels = tmp_path / folder / "tensorflow/core/kernels"
    kernels.mkdir(parents=True)
    (kernels / "libtfkernel_x.so").touch()
    done = subprocess.run(
        [sys.executable, *options, "-m", "kerasrun", "doctor"],
        **{"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}},
        **{"capture_output": True, "text": True, "check": False},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: {kernels}: TensorFlow would run the libraries in this folder" in done.stderr


def test_the_help_of_commands_may_be_left_out_by_python(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONOPTIMIZE": "2"}
    done = subprocess.run([sys.executable, "-m", "kerasrun", "--help"], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0


def test_too_few_files_that_may_be_open_are_no_bug(tmp_path):
    done = subprocess.run(
        ["bash", "-c", f'ulimit -n 7; exec "{sys.executable}" -m kerasrun runs'],
        **{"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}},
        **{"capture_output": True, "text": True, "check": False},
    )
    assert done.returncode in (0, 1)
    assert "bug" not in done.stderr


@pytest.mark.parametrize(
    ("broken", "code", "essential"),
    [
        ("tempfile.gettempdir()", 1, "error: no temporary file can be written; free some room, or set TMPDIR"),
        ("{}['something nobody thought of']", 3, "Please report it with this:"),
    ],
)
def test_without_room_for_temporary_files_a_failure_says_so_or_has_the_report_in_it(broken, code, essential, tmp_path):
    program = (
        "import tempfile\n"
        "tempfile._candidate_tempdir_list = lambda: []\n"
        "import kerasrun.runs.listing as listing\n"
        f"listing.list_runs = lambda output: {broken}\n"
        "import sys; sys.argv = ['kerasrun', 'runs']\n"
        "from kerasrun.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert essential in done.stderr
    assert ("Traceback" in done.stderr) == (code == 3)


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143), (signal.SIGUSR1, "SIGUSR1", 143)],
)
def test_a_signal_outside_training_ends_with_its_exit_code_and_a_message(number, name, code):
    program = (
        "import os, sys, kerasrun.runs.listing as listing\n"
        f"listing.list_runs = lambda output: os.kill(os.getpid(), {number:d})\n"
        "sys.argv = ['kerasrun', 'runs']\n"
        "from kerasrun.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr == f"interrupted by {name} before training began, or after it; nothing was lost\n"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    pipe = f"{sys.executable} -m kerasrun validate configs/cnn_layers.yaml --resolved | head -1"
    done = subprocess.run(pipe, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.tensorflow
def test_the_whole_path_from_the_command_line(tmp_path):
    """Train, evaluate, predict, list: results on stdout, everything else on stderr."""
    config = ROOT / "configs" / "lenet_directory.yaml"
    trained = kerasrun("train", config, "-s", "fit.epochs=2", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout == "runs/lenet_directory-1\n"
    assert "epoch 2/2" in trained.stderr
    evaluated = forked.run(["-m", "kerasrun", "evaluate", "--json"], tmp_path)
    report = json.loads(evaluated.stdout)
    assert (report["run"], report["split"], report["examples"]) == ("runs/lenet_directory-1", "test", 359)
    assert set(report["metrics"]) == {"loss", "accuracy"}
    sevens = ROOT / "data" / "digits" / "png" / "test" / "7"
    predicted = json.loads(forked.run(["-m", "kerasrun", "predict", sevens, "--json"], tmp_path).stdout)
    assert len(predicted) == len(list(sevens.iterdir())) > 0
    assert all(prediction["class"] in "0123456789" for prediction in predicted)
    (run,) = json.loads(kerasrun("runs", "--json", cwd=tmp_path).stdout)
    assert (run["run"], run["status"], run["epochs_done"]) == ("lenet_directory-1", "finished", 2)
    resumed = kerasrun("resume", cwd=tmp_path)
    assert resumed.returncode == 0
    assert "-s fit.epochs=4" in resumed.stderr


@pytest.mark.parametrize("command", [["runs"], ["--help"], ["validate", "a.yaml"], ["init"]])
def test_a_full_disk_behind_stdout_is_exit_1(command, tmp_path):
    (tmp_path / "a.yaml").write_text("data: {npz: {path: a.npz}}\nmodel: LeNet\n")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kerasrun", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: stdout: No space left on device; what was printed is not complete\n"


@pytest.mark.parametrize(("closed", "code"), [("2>&-", 0), (">&-", 1), ("<&- 2>&-", 0), ("2>/dev/full", 0)])
def test_a_stream_that_is_closed_or_full_is_an_ordinary_day(closed, code, tmp_path):
    command = f"exec {sys.executable} -m kerasrun runs {closed}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert "bug" not in done.stderr


@pytest.mark.parametrize("name", ["random", "queue", "copy", "keras", "logging"])
def test_a_module_in_the_working_directory_is_not_imported(name, tmp_path):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    (tmp_path / "a.yaml").write_text("data: {npz: {path: a.npz}}\nmodel: LeNet\n")
    done = kerasrun("validate", "a.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.tensorflow
@pytest.mark.parametrize("settings", ['{"epsilon": 1}', '{"floatx": "bfloat16"}', "[]"])
def test_a_keras_json_that_keras_refuses_is_named(settings, tmp_path):
    (tmp_path / "keras.json").write_text(settings)
    code = "from kerasrun.engine import devices; devices.start('cpu')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert f"DeviceError: {tmp_path / 'keras.json'}: Keras cannot start with these settings" in done.stderr


@pytest.mark.long
@pytest.mark.tensorflow
def test_keras_json_does_not_change_what_is_computed(tmp_path):
    settings = {"floatx": "float16", "epsilon": 1e-3, "image_data_format": "channels_first", "backend": "jax"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    code = (
        "from kerasrun.engine import devices; devices.start('cpu'); from keras import backend, config\n"
        "print(config.floatx(), config.epsilon(), config.image_data_format(), backend.backend())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "float32 1e-07 channels_last tensorflow\n"
