"""What a plugin of someone else says is read, and nothing of it runs, whatever it is."""

import sys

import pytest

from kerasrun.errors import KerasrunError
from kerasrun.experiment.load import load

HEAD = "import pydantic\nimport typing\nfrom pydantic import Field\nfrom typing import *\n"
LAYERS = "import keras\nclass L0(keras.layers.Layer): pass\n"


def experiment(folder, text):
    (folder / "p.py").write_text(text, encoding="utf-8")
    file = folder / "e.yaml"
    file.write_text("data: {digits: {}}\nmodel: {MLP: {units: [4]}}\nplugins: [p.py]\n", encoding="utf-8")
    return file


def digits(argument):
    return f"{HEAD}def digits(split, {argument}):\n    return None\n"


@pytest.mark.parametrize(
    "argument",
    [
        *("a={[1]: 2}", "a: int = {[1]}", "a: int = 0x" + 10_000 * "f", "a: Literal[[1]] = 1", "a: Literal = 1"),
        *("a: int = Field(1, 2)", "a: str = Field(regex='x')", "a: int = Field(1, default=2)"),
        "a: str = Field(pattern='(')",
        *("a: int = Field(1, max_length=-1)", "a: tuple[...] = 1", "a: ... = 1", "a: tuple[()] = ()"),
        "a = Field(1, multiple_of=0)",
        *("a: int = Field(1, ge='x')", "a: int = Field(1, alias=2)", "a: int = Field(1, init=False, frozen=True)"),
        *("a: pydantic.BaseSettings = 1", "a: pydantic.EmailStr = 1", "a: pydantic.create_model = 1"),
        *("a: typing.TYPE_CHECKING = 1", "a: typing.__builtins__ = 1", "a: typing.__dict__[int] = 1", "a: int[5] = 1"),
        f"a: {40 * 'dict[int,'}int{40 * ']'} = 1",
        f"a: '{5_000 * '('}' = 1",
        f"a: '{50_000 * '-'}1' = 1",
    ],
    ids=lambda argument: argument[:40],
)  # fmt: skip
def test_an_argument_that_cannot_be_read_from_the_text_takes_any_value(tmp_path, argument):
    assert load(experiment(tmp_path, digits(argument))).experiment.data.kind == "digits"


def test_nothing_is_imported_that_an_annotation_names(tmp_path):
    load(experiment(tmp_path, digits("a: pydantic.ImportString = Field('this', validate_default=True)")))
    assert "this" not in sys.modules


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    [
        "import keras\nclass A(B): pass\nclass B(A): pass\n",
        "import keras\nclass Metric(Metric): pass\n",
        "import kerasrun_plugins.p.B as A\nimport kerasrun_plugins.p.A as B\nclass C(A): pass\n",
        LAYERS + "".join(f"class L{i}(L{i - 1},L{i - 1},L{i - 1}): pass\n" for i in range(1, 40)),
        LAYERS + "".join(f"class L{i}(L{i - 1}): pass\n" for i in range(1, 450)),
        "x = 1" + 100_000 * "+1",
        "x = a" + 100_000 * ".b",
        "x = " + 3_000 * "- " + "1",
        "x = " + 100_000 * "-" + "1",
        "if 1: pass\n" + 3_000 * "elif 1: pass\n",
        HEAD + "".join(f"def d{i}(split, a=1): return None\n" for i in range(20_000)),
        HEAD + 20_000 * "def d(split, a=1): return None\n",
        LAYERS + 5_000 * "class digits(keras.layers.Layer): pass\n",
        LAYERS + "".join(f"class A{i}({''.join(f'A{n},' for n in range(i))}L0): pass\n" for i in range(300)),
        "import kerasrun\nclass D(kerasrun.sources.Source):\n" + "".join(f" a{i}: int = 1\n" for i in range(20_000)),
        HEAD + f"def digits(split, {', '.join(f'a{i}: int = 1' for i in range(5_000))}): return None\n",
    ],
    ids=[
        *("circle", "itself", "import", "diamonds", "chain", "sum"),
        *("names", "signs", "minus", "elif", "many", "same", "classes", "bases", "fields", "arguments"),
    ],
)  # fmt: skip
def test_what_no_experiment_can_name_is_refused_soon(tmp_path, text):
    with pytest.raises(KerasrunError):
        load(experiment(tmp_path, text))
