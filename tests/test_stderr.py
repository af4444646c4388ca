"""What reaches a terminal of the names of others."""

import io
import subprocess
import sys
import types
import unicodedata

import pytest

from kerasrun import stderr
from kerasrun.experiment.resolved import flow_yaml
from kerasrun.training.progress import TrainingProgress

NAME = "a\x1b[31m\x07\x9b2J\u202eb\u2066c\x7f\rd"
HIDDEN = [one for one in map(chr, range(0x110000)) if unicodedata.category(one) == "Cc"]
BIDI = [one for one in map(chr, range(0x110000)) if unicodedata.bidirectional(one) in
        ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")]  # fmt: skip


def commands(text):
    return [one for one in text if (one in HIDDEN and one not in "\n\t") or one in BIDI]


def test_every_control_character_and_every_change_of_direction_is_escaped():
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    assert commands(stderr.harmless(everything)) == []
    assert stderr.harmless("größe\t日本語 😀\n") == "größe\t日本語 😀\n"
    assert stderr.harmless("\x1b[0m\u202e") == r"\x1b[0m\u202e"


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", NAME],
        ["validate", "names.yaml", "--resolved"],
        ["validate", "wrong.yaml"],
        ["runs", "-o", NAME],
        ["summary", NAME],
        ["predict", NAME, "--model", NAME + ".keras"],
        [NAME],
        ["init", NAME],
    ],
    ids=lambda arguments: arguments[0][:8],
)
def test_no_name_gives_a_terminal_commands(tmp_path, arguments):
    quoted = NAME.replace("\x1b", "\\e").replace("\x07", "\\a").replace("\x9b", "\\x9b").replace("\x7f", "\\x7f")
    quoted = quoted.replace("\r", "\\r")
    good = f'data: {{npz: {{path: a.npz, classes: ["{quoted}", b]}}}}\nmodel: LeNet\n'
    (tmp_path / "names.yaml").write_text(good, encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(good + f'fit: {{"{quoted}": 1}}\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "kerasrun", *arguments], capture_output=True, cwd=tmp_path, check=False
    )
    said = (done.stdout + done.stderr).decode()
    assert commands(said) == []
    assert "u202eb" in said or arguments[0] == "runs"
    assert done.returncode in (0, 1, 2)


def test_of_words_and_lines_that_nobody_reads_the_ends_are_shown():
    raw = io.BytesIO()
    stream = stderr.Stderr(io.TextIOWrapper(raw, encoding="utf-8"))
    number, line = "12" * 2500, "a b " * 25_000
    print(f"error: {number}: too large\n{'x' * 1000} {line}", file=stream)
    stream.flush()
    first, second = raw.getvalue().decode().splitlines()
    assert first == f"error: {number[:100]}…{number[-99:]}: too large"
    assert second == f"{'x' * 1000} {line}"[:2000] + "…" + line[-2000:]


@pytest.mark.parametrize(
    "arguments", [["train", "a" * 100_000], ["a" * 100_000], ["repeat", "a", "--seeds", "9" * 5000]]
)
def test_a_refusal_does_not_repeat_what_is_too_long(arguments):
    done = subprocess.run([sys.executable, "-m", "kerasrun", *arguments], capture_output=True, check=False)
    assert done.returncode in (1, 2)
    assert 50 < len(done.stderr) < 1000


def test_what_is_printed_of_an_experiment_means_the_same_when_it_is_escaped():
    import yaml

    printed = stderr.harmless(flow_yaml(NAME + "\u200f\u2028"))
    assert yaml.safe_load(printed) == NAME + "\u200f\u2028"


def test_a_stream_escapes_and_the_progress_goes_past_it():
    inner = io.BytesIO()
    stream = stderr.Shown(io.TextIOWrapper(inner, "ascii", line_buffering=True))
    print(NAME + "é", file=stream)
    assert inner.getvalue() == rb"a\x1b[31m\x07\x9b2J\u202eb\u2066c\x7f\rd\xe9" + b"\n"
    stderr._AsItIs(stream).write("\x1b[2K\n")
    stream.flush()
    assert inner.getvalue().endswith(b"\x1b[2K\n")


FIT = types.SimpleNamespace(epochs=1, batch_size=1)
CHUNKS = types.SimpleNamespace(seconds_per_step=None)
LEFT = types.SimpleNamespace(seconds=lambda now: None)


def test_a_name_in_the_live_line_is_escaped():
    progress = TrainingProgress.__new__(TrainingProgress)
    vars(progress).update(
        _epoch=0, _done=1, _total=2, _validates=False, _logs={NAME: 0.5}, fit=FIT, chunks=CHUNKS, time_left=LEFT
    )
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=200, color_system=None).print(progress._live_line(200))
    assert commands(out.getvalue()) == []
    assert r"\x1b[31m" in out.getvalue()
