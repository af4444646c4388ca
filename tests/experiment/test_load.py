import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kerasrun.components import Component
from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import load, parse

SMALLEST = "data: {folder: {path: x}}\nmodel: Small\n"


def told(content, *settings):
    with pytest.raises(ExperimentError) as error:
        parse(content, "e.yaml", settings)
    return str(error.value)


def first_lines(content):
    return [line for line in told(content).splitlines() if line.startswith("e.yaml:")]


def only_line(content):
    lines = first_lines(content)
    assert len(lines) == 1
    return lines[0]


def test_data_and_model_are_enough():
    experiment = parse(SMALLEST, "/some/where/digits.yaml").experiment
    assert experiment.name == "digits"
    assert experiment.data.path == Path("/some/where/x")
    assert experiment.compile.optimizer == Component("Adam")
    assert experiment.fit.batch_size == 32


def test_every_problem_is_told_at_once_with_its_place():
    assert told(
        "data:\n"
        "  folder: {path: x, color_mode: grayscal}\n"
        "model: Smal\n"
        "compile:\n"
        "  optimizer: {SGD: {lr: 0.01}}\n"
        "  loss: categorical_crosentropy\n"
        "fit:\n"
        "  epochs: ten\n"
        "  epoch: 3\n"
        "callbacks:\n"
        "  - EarlyStopping: {monitor: val_los}\n"
        "seeed: 1\n"
    ) == (
        "e.yaml:2:33: data.folder.color_mode: received 'grayscal'; expected grayscale, rgb or rgba; "
        "did you mean 'grayscale'?\n"
        "      folder: {path: x, color_mode: grayscal}\n"
        "                                    ^\n"
        "e.yaml:3:8: model: unknown network 'Smal'; expected Small or layers, or one of these with its keys: "
        "{name: {key: value}}; did you mean 'Small'?\n"
        "    model: Smal\n"
        "           ^\n"
        "e.yaml:5:21: compile.optimizer.SGD.lr: unknown argument 'lr' of SGD; "
        "expected an argument of keras.optimizers.SGD; did you mean 'learning_rate'?\n"
        "      optimizer: {SGD: {lr: 0.01}}\n"
        "                        ^\n"
        "e.yaml:6:9: compile.loss: unknown loss 'categorical_crosentropy'; expected a name of keras.losses; "
        "did you mean 'categorical_crossentropy'?\n"
        "      loss: categorical_crosentropy\n"
        "            ^\n"
        "e.yaml:8:11: fit.epochs: received 'ten'; expected a whole number of at least 1\n"
        "      epochs: ten\n"
        "              ^\n"
        "e.yaml:9:3: fit.epoch: unknown key 'epoch'; "
        "expected batch_size, epochs, steps_per_epoch, verbose, validation_split, validation_fold, test_split, "
        "validation_data, validation_steps, validation_freq, class_weight or scale_targets; did you mean 'epochs'?\n"
        "      epoch: 3\n"
        "      ^\n"
        "e.yaml:11:30: callbacks.0.EarlyStopping.monitor: monitors 'val_los'; "
        "expected loss, accuracy, val_loss, val_accuracy or learning_rate; did you mean 'val_loss'?\n"
        "      - EarlyStopping: {monitor: val_los}\n"
        "                                 ^\n"
        "e.yaml:12:1: seeed: unknown key 'seeed'; expected base, name, seed, plugins, data, preprocessing, "
        "augmentation, augment, model, compile, fit, stages, callbacks, checkpoint, cache, track, report, time_limit, "
        "device, deterministic, precision, compress or sweep; did you mean 'seed'?\n"
        "    seeed: 1\n"
        "    ^\n"
        "8 problems"
    )


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("fit: {batch_size: 0}", "3:19: fit.batch_size: received 0; expected a whole number of at least 1"),
        ("fit: {batch_size: 1.5}", "3:19: fit.batch_size: received 1.5; expected a whole number of at least 1"),
        ("fit: {epochs: true}", "3:15: fit.epochs: received true; expected a number"),
        ("fit: {validation_split: 1}", "fit.validation_split: received 1; expected a number above 0 and below 1"),
        ("fit: {validation_data: tset}", "received 'tset'; expected validation or test; did you mean 'test'?"),
        ("fit: 3", "3:6: fit: received 3; expected keys with values: {key: value}"),
        ("callbacks: TensorBoard", "3:12: callbacks: received 'TensorBoard'; expected a list: [TensorBoard]"),
        ("callbacks: [3]", "3:13: callbacks.0: received 3; expected a callback: Name or {Name: {argument: value}}"),
        ("seed: -1", "3:7: seed: received -1; expected a whole number of at least 0 and below 4294967296"),
        ("name: a/b", "3:7: name: received 'a/b'; expected letters"),
        ("device: [0, -1]", "3:13: device.1: received -1; expected a whole number of at least 0"),
        (
            "fit: {class_weight: balancd}",
            "received 'balancd'; expected balanced or keys with values",
        ),
        (
            "fit: {class_weight: {a: 1, b: -1}}",
            "3:31: fit.class_weight.b: received -1; expected a number of",
        ),
        ("fit: {class_weight: {a: true}}", "3:25: fit.class_weight.a: received true; expected a number"),
        ("fit: {class_weight: {a: .inf}}", "3:25: fit.class_weight.a: received inf; expected a number"),
        ("fit: {class_weight: {}}", "fit.class_weight: received a mapping; expected balanced or at least 1 value"),
        ("device: gpuu", "3:9: device: received 'gpuu'; expected auto, cpu or gpu or a list: [value, value]"),
        ("checkpoint: {mode: mni}", "received 'mni'; expected auto, min or max; did you mean 'min'?"),
        ("checkpoint: {seconds: x}", "received 'x'; expected a number above 0"),
        ("precision: float16", "expected float32, mixed_float16 or mixed_bfloat16; did you mean 'mixed_float16'?"),
        (
            "fit: {validation_split: 0.1, validation_data: test}",
            "3:47: fit.validation_data: validation_data beside validation_split; expected one of them",
        ),
        (
            "fit: {validation_fold: 1/5, validation_split: 0.1}",
            "3:24: fit.validation_fold: validation_fold beside validation_split; expected one of them",
        ),
        ("fit: {validation_fold: 6/5}", "3:24: fit.validation_fold: received '6/5'; expected a fold and how many"),
        (
            "compile: {jit_compile: true}",
            "3:24: compile.jit_compile: jit_compile beside deterministic operations, which XLA does not have; expected",
        ),
        ("fit: {verbose: 3}", "3:16: fit.verbose: received 3; expected auto, 0, 1 or 2"),
        ("fit: {verbose: true}", "3:16: fit.verbose: received true; expected a number"),
        ("fit: {steps_per_epoch: 0}", "3:24: fit.steps_per_epoch: received 0; expected a whole number of at least 1"),
        ("fit: {validation_freq: [2, x]}", "3:28: fit.validation_freq.1: received 'x'; expected a whole number"),
        (
            "fit: {epochs: 3, validation_freq: 4}",
            "3:35: fit.validation_freq: received 4; expected an epoch from 1 to fit.epochs, which is 3: no epoch would",
        ),
        ("fit: {epochs: 3, validation_freq: [5]}", "no epoch would validate"),
    ],
)
def test_a_wrong_value_is_told_with_its_range(section, words):
    assert words in only_line(SMALLEST + section)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("model: Small", "e.yaml:1:1: data: 'data' is missing; expected the kind of data: folder"),
        (
            "data: folder\nmodel: Small",
            "e.yaml:1:1: data.path: 'path' is missing; expected where the class folders are",
        ),
        ("data: {folder: }\nmodel: Small", "e.yaml:1:8: data.folder.path: 'path' is missing"),
        ("data: {folder: {path: x, pth: y}}\nmodel: Small", "1:26: data.folder.pth: unknown key 'pth'"),
        ("data: {folder: {path: [x]}}\nmodel: Small", "1:23: data.folder.path: received a list; expected a path"),
        ("data: {folder: {path: x, image_size: [1, b]}}\nmodel: Small", "1:42: data.folder.image_size.1: received 'b'"),
        ("data: {folder: 3}\nmodel: Small", "e.yaml:1:16: data.folder: 3 for 'folder'; expected its keys"),
        ("data: [x]\nmodel: Small", "e.yaml:1:7: data: a list; expected folder"),
        (
            "data: {folder: {path: x}}\nmodel: {Small: {units: 0}}",
            "expected a whole number of at least 1 and of at most",
        ),
        ("data: {folder: {path: x}}\nmodel: {Small: {dropout: 1.0}}", "a number of at least 0 and below 1"),
        ("data: {folder: {path: x}}\nmodel: {layers: []}", "2:17: model.layers: received a list; expected at least 1"),
        ("data: {folder: {path: x}}\nmodel: {layers: Dense}", "2:17: model.layers: received 'Dense'; expected a list"),
    ],
)
def test_the_kinds_of_data_and_network_are_checked(content, words):
    assert words in only_line(content)


def test_class_names_stay_as_they_are_written():
    content = "data: {folder: {path: x, classes: [no, 0001, 1.10, 7, TRUE, 60_000, 'a']}}\nmodel: Small\n"
    assert parse(content, "e.yaml").experiment.data.classes == ("no", "0001", "1.10", "7", "TRUE", "60_000", "a")


def test_classes_are_weighted_by_the_names_that_they_have():
    content = SMALLEST + "fit: {class_weight: {1.10: 2, no: 0.5}}\n"
    assert parse(content, "e.yaml").experiment.fit.class_weight == {"1.10": 2.0, "no": 0.5}


def test_a_name_that_looks_like_a_number_is_text():
    assert parse(SMALLEST + "name: 1.10", "e.yaml").experiment.name == "1.10"


def test_a_switch_may_be_no():
    content = "data: {folder: {path: x, shuffle: no}}\nmodel: Small\n"
    assert parse(content, "e.yaml").experiment.data.shuffle is False


def test_an_empty_section_is_its_default():
    experiment = parse(SMALLEST + "fit:\ncallbacks:\n  # - TensorBoard\n", "e.yaml").experiment
    assert (experiment.fit.epochs, experiment.callbacks) == (1, ())


@pytest.mark.parametrize("section", ["compile", "cache", "stages", "plugins", "preprocessing", "augmentation"])
def test_so_is_every_other_empty_one(section):
    assert parse(f"{SMALLEST}{section}:\n", "e.yaml").experiment == parse(SMALLEST, "e.yaml").experiment


def test_a_byte_order_mark_and_crlf_change_nothing(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode())
    assert load(file).experiment == parse(SMALLEST, file).experiment


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "e.yaml:1:1: an empty experiment; expected at least the sections 'data' and 'model'"),
        ("# nothing\n", "an empty experiment"),
        ("- a", "e.yaml:1:1: a list at the top; expected sections"),
        ("LeNet", "e.yaml:1:1: 'LeNet'; expected sections"),
    ],
)
def test_what_is_no_experiment_is_told(content, words):
    assert words in told(content)


def test_overrides_make_an_experiment_of_an_empty_file():
    assert parse("", "e.yaml", ["data.folder.path=x", "model=Small"]).experiment.model.units == 8


def test_a_missing_file_is_told_with_the_nearest_one(tmp_path):
    (tmp_path / "lenet.yaml").write_text(SMALLEST)
    with pytest.raises(ExperimentError, match=r"lenett\.yaml: no such file; .*did you mean '.*lenet\.yaml'\?") as error:
        load(tmp_path / "lenett.yaml")
    assert error.value.exit_code == 2
    with pytest.raises(ExperimentError, match=r"there is no folder"):
        load(tmp_path / "none" / "lenet.yaml")
    with pytest.raises(ExperimentError, match=r"a folder; expected an experiment file; .* has lenet\.yaml"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: 1\nb: \xff", "e.yaml:2:4: not UTF-8 text"),
        ("a: 1".encode("utf-16"), "it is UTF-16"),
        (b"\x00\x01", "the character U\\+0000"),
    ],
)
def test_a_file_that_is_no_text_is_told(tmp_path, content, words):
    (tmp_path / "e.yaml").write_bytes(content)
    with pytest.raises(ExperimentError, match=words):
        load(tmp_path / "e.yaml")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path):
    (tmp_path / "e.yaml").touch(mode=0o000)
    with pytest.raises(ExperimentError, match="cannot be read: Permission denied"):
        load(tmp_path / "e.yaml")


def test_what_is_not_utf_8_is_told_at_its_place(tmp_path):
    (tmp_path / "e.yaml").write_bytes("# é\n".encode() + b"name: \xe9\n")
    with pytest.raises(ExperimentError, match=r"e\.yaml:2:7: not UTF-8 text"):
        load(tmp_path / "e.yaml")


def test_a_file_of_data_is_not_read_to_its_end(tmp_path):
    with (tmp_path / "e.yaml").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(ExperimentError, match=r"e\.yaml:1:1: has more than 16,777,216 bytes; expected"):
        load(tmp_path / "e.yaml")


def test_a_long_line_is_shown_around_its_mistake():
    lines = told(SMALLEST + f"callbacks: [{'TerminateOnNaN, ' * 500}EarlyStoping]").splitlines()
    assert lines[0].startswith("e.yaml:3:8013: callbacks.500: unknown callback 'EarlyStoping'")
    assert lines[1][lines[2].index("^") :] == "EarlyStoping]"
    assert lines[1].startswith("    …")
    assert len(lines[1]) < 250


def test_of_very_many_problems_the_first_are_told():
    lines = told(SMALLEST + "callbacks:\n" + "- Early\n" * 150).splitlines()
    assert lines[-1] == "and 130 more: 150 problems"
    assert sum(line.startswith("e.yaml:") for line in lines) == 20


def test_a_long_value_is_shown_in_part():
    assert only_line(SMALLEST + f"seed: {'9' * 90}").endswith(
        f"received {'9' * 57}…; expected a whole number of at least 0 and below 4294967296"
    )


@pytest.mark.parametrize("section", ["{fill_mode: 1, a: 2}", "{fill_mode: {x: 1.5}, a: 2}"])
def test_numbers_in_a_section_that_cannot_be_read_are_left_alone(section):
    assert "augmentation: a mapping; expected a list of layers" in only_line(SMALLEST + f"augmentation: {section}")


@pytest.mark.parametrize("units", [".inf", "-.inf", ".nan", "1.5", "0", "9" * 99])
def test_a_number_of_units_is_whole_whatever_its_size(units):
    text = f"data: {{folder: {{path: x}}}}\nmodel: {{layers: [Dense: {{units: {units}}}]}}"
    if units.startswith("9"):
        parse(text, "e.yaml")
    else:
        assert "model.layers.0.Dense.units" in only_line(text)


def test_a_later_check_points_at_the_text():
    document = parse(SMALLEST + "compile: {loss: mse}", "e.yaml").document
    error = document.error(("compile", "loss"), "'mse' for 10 classes", "expected categorical_crossentropy")
    assert str(error).startswith("e.yaml:3:17: compile.loss: 'mse' for 10 classes; expected categorical_crossentropy\n")
    assert str(document.error(("fit", "epochs"), "none")).startswith("e.yaml:1:1: fit.epochs: none")


def test_loading_imports_neither_tensorflow_nor_keras(tmp_path):
    (tmp_path / "e.yaml").write_text("data: none\nmodel: {layers: [Dense: {units: 3}]}\ncallbacks: [EarlyStopping]\n")
    program = (
        "import sys\n"
        "from kerasrun.errors import ExperimentError\n"
        "from kerasrun.experiment.load import load\n"
        "try:\n    load(sys.argv[1])\n"
        "except ExperimentError as error:\n    print(error)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'PIL', 'matplotlib'}))\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, str(tmp_path / "e.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    assert "unknown kind of data 'none'" in done.stdout
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("~nosuchuser/a", "data.folder.path: received '~nosuchuser/a'; expected a user of this machine"),
        ("x" * 300, "; expected names of at most 255 bytes, as file systems have them"),
    ],
)
def test_a_path_that_no_file_can_have_is_told_at_its_place(path, told):
    with pytest.raises(ExperimentError, match=re.escape(told)):
        parse(f"data: {{folder: {{path: {path}}}}}\nmodel: Small\n", "e.yaml")


@pytest.mark.parametrize(("file", "name"), [(".hidden.yaml", "hidden"), ("a (1).yaml", "a (1)")])
def test_a_run_is_named_after_the_file(file, name):
    assert parse("data: {folder: {path: x}}\nmodel: Small\n", file).experiment.name == name


@pytest.mark.parametrize("file", ["a:b.yaml", f"{'x' * 230}.yaml"])
def test_a_file_after_which_no_run_can_be_named_needs_a_name(file):
    text = "data: {folder: {path: x}}\nmodel: Small\n"
    with pytest.raises(ExperimentError, match=r"name: runs cannot be named after the file '.*; expected a 'name' of "):
        parse(text, file)
    assert parse(f"{text}name: short\n", file).experiment.name == "short"


def test_a_name_is_not_longer_than_file_systems_have_it():
    with pytest.raises(ExperimentError, match=r"e\.yaml:3:7: name: received 'x.*; expected a 'name' of at most 200"):
        parse(f"data: {{folder: {{path: x}}}}\nmodel: Small\nname: {'x' * 300}\n", "e.yaml")


def test_more_components_than_any_experiment_has_are_refused_before_they_are_checked():
    text = "data: {directory: {path: a}}\nmodel:\n  layers:\n" + "    - Dense: {units: 3}\n" * 2000
    with pytest.raises(ExperimentError, match=r"e\.yaml:2002:7: model\.layers\.1998: very many mappings; .* 4,000"):
        parse(text, "e.yaml")


def test_a_sweep_of_very_many_parameters_is_refused():
    text = "data: {directory: {path: a}}\nmodel: {layers: [Flatten]}\nsweep:\n  trials: 1\n  parameters:\n"
    text += "".join(f"    fit.x{number}: {{choice: [1]}}\n" for number in range(101))
    with pytest.raises(ExperimentError, match=r"e\.yaml:6:5: sweep\.parameters: .* expected at most 100 values"):
        parse(text, "e.yaml")
