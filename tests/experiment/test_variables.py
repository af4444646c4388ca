import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.experiment.resolved import resolved_yaml
from kerasrun.experiment.variables import fill
from kerasrun.text.problems import Text
from kerasrun.text.yaml_text import parse as parse_yaml
from kerasrun.text.yaml_text import plain, split_lines

SMALLEST = "data: {folder: {path: x}}\nmodel: Small\n"
ENVIRONMENT = {"N": "32", "RATE": "1e-3", "T": "a b", "NO": "no", "EMPTY": "", "TRUE": "true", "LIST": "[1, 2]"}


def filled(content, environment=ENVIRONMENT):
    node = parse_yaml(content, Text("e.yaml", split_lines(content)), [])
    wrong = fill(node, environment)
    return plain(node), [str(problem) for _, problem in wrong]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${N}", 32),
        ('"${N}"', 32),
        ("${RATE}", 0.001),
        ("${TRUE}", True),
        ("${NO}", "no"),
        ("${T}", "a b"),
        ("${LIST}", "[1, 2]"),
        ("${EMPTY}", None),
        ("${EMPTY:-3}", 3),
        ("${NONE:-3}", 3),
        ("${NONE:-}", None),
        ("${N:-3}", 32),
        ("${N}0", 320),
        ('"${N}0"', "320"),
        ("1e-${N}", 1e-32),
        ("x/${T}/${N}", "x/a b/32"),
        ("$${N}", "${N}"),
        ("$$${N}", "$${N}"),
        ("$${N}${N}", "${N}32"),
        ("$N", "$N"),
        ("$", "$"),
        ("${NONE:-a:-b $c}", "a:-b $c"),
    ],
)
def test_a_value_is_what_the_environment_says(written, value):
    assert filled(f"a: {written}") == ({"a": value}, [])


def test_keys_stay_as_they_are():
    assert filled('"${N}": 1') == ({"${N}": 1}, [])


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("${NONE}", "no environment variable NONE; expected it, or a default: ${NONE:-default}\n"),
        ("x${N}${NONE}", "no environment variable NONE"),
        ("${N", "received '${N'; expected ${NAME}, or ${NAME:-default} without braces in the default; $${ stands"),
        ("${}", "received '${}'"),
        ("${1N}", "received '${1N}'"),
        ("${N-3}", "received '${N-3}'"),
        ("${N:-${RATE}}", "received '${N:-${RATE}'"),
        ("${BYTES}", "the character U+DCFF in the environment variable BYTES; expected text"),
        ("${BELL}", "the character U+0007 in the environment variable BELL; expected text"),
    ],
)
def test_what_is_not_to_be_had_is_told_at_its_place(written, words):
    _, problems = filled(f"b: 1\na: {written}", {**ENVIRONMENT, "BYTES": "a\udcff", "BELL": "\a"})
    assert len(problems) == 1
    assert problems[0].startswith(f"e.yaml:2:4: a: {words}")


def test_the_environment_is_not_repeated_without_an_end():
    _, problems = filled('- "${LONG}"\n' * 20, {"LONG": "x" * 2**20})
    assert problems[0].startswith(
        "e.yaml:17:3: 16: very much text from the environment; expected at most 16,777,216 characters\n"
    )
    assert len(problems) == 4
    _, problems = filled(f"a: {'${N}' * 1001}")
    assert problems[0].startswith("e.yaml:1:4: a: very many '${' in one value; expected at most 1,000\n")


def test_a_number_of_the_environment_keeps_its_spelling_where_text_is_wanted(monkeypatch):
    monkeypatch.setenv("CLASS", "1.10")
    content = 'data: {folder: {path: x, classes: ["${CLASS}", b]}}\nmodel: Small\n'
    assert parse(content, "e.yaml").experiment.data.classes == ("1.10", "b")


def test_what_the_command_line_replaces_needs_no_variable(monkeypatch):
    monkeypatch.delenv("NONE_OF_IT", raising=False)
    content = SMALLEST + "fit:\n  epochs: ${NONE_OF_IT}\n"
    assert parse(content, "e.yaml", ["fit.epochs=3"]).experiment.fit.epochs == 3
    with pytest.raises(
        ExperimentError, match=r"e\.yaml:4:11: fit\.epochs: no environment variable NONE_OF_IT"
    ) as error:
        parse(content, "e.yaml")
    assert str(error.value).count("e.yaml:") == 1


def test_the_command_line_may_name_one(monkeypatch):
    monkeypatch.setenv("EPOCHS", "3")
    assert parse(SMALLEST, "e.yaml", ["fit.epochs=${EPOCHS}"]).experiment.fit.epochs == 3
    with pytest.raises(ExperimentError, match=r"column 12: fit\.epochs: no environment variable NONE_OF_IT"):
        parse(SMALLEST, "e.yaml", ["fit.epochs=${NONE_OF_IT}"])


def test_braces_need_quotes():
    with pytest.raises(ExperimentError, match=r"e\.yaml:3:15: '\$\{' inside of braces or brackets; expected quotes"):
        parse(SMALLEST + "fit: {epochs: ${EPOCHS}}", "e.yaml")


@pytest.mark.parametrize("alone", [False, True])
def test_what_is_resolved_asks_the_environment_for_nothing(monkeypatch, alone):
    monkeypatch.setenv("N", "wrong")
    content = 'data: {folder: {path: "$${N}/$$${N}", classes: [a, "$${"]}}\nmodel: Small\n'
    experiment = parse(content, "/e.yaml").experiment
    assert str(experiment.data.path) == "/${N}/$${N}"
    assert parse(resolved_yaml(experiment), "/f.yaml", alone=alone).experiment.data == experiment.data


def test_a_run_of_an_older_version_keeps_its_text(monkeypatch):
    monkeypatch.setenv("N", "wrong")
    content = 'data: {folder: {path: "/${N}/${"}}\nmodel: Small\n'
    assert str(parse(content, "resolved.yaml", alone=True).experiment.data.path) == "/${N}/${"
