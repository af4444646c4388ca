"""Experiment files from those of `configs` and of the documentation, with what goes wrong when they are edited.

A file is taken apart into nodes, changed, written again, and its text changed once more. What is put into it comes from
the schema and from Keras's signatures as well as from `ODD`, so that it is wrong in the values and not in the names.
"""

import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from kerasrun import keras_catalogue
from kerasrun.components import kinds
from kerasrun.errors import ExperimentError, KerasrunError
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.load import load, parse
from kerasrun.experiment.resolved import as_plain, resolved_yaml
from kerasrun.experiment.schema import Cache, Checkpoint, Compile, Experiment, Fit, Stage

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "configs/own_loss.py"

SMALL = (
    "data: {npz: {path: a.npz}}\nmodel: LeNet\nstages: [{epochs: 1}, {epochs: 2, optimizer: {Adam: {}}}]\n",
    "data: {hdf5: {path: a.h5, labels: multi_label}}\nmodel: {saved: {path: a.keras}}\ndevice: [0]\n",
    "data: {npy: {x_train: a.npy, y_train: b.npy}}\nmodel: MLP\ncache: {memory: 2GiB, features: false}\n",
    "data: {idx: {path: ., classes: [0, no, 1.10]}}\nmodel: {MLP: {units: [8]}}\ntime_limit: 2h\n",
    "data: {csv: {train: a.csv, label: -1, features: [0, 1]}}\nmodel: {layers: [Dense: {units: 3}]}\n",
    "data: {parquet: {train: a.parquet, one_hot: 3}}\nmodel: {layers: [{Dense: {units: 3}}]}\nseed: 3\n",
    "data: {keras_dataset: {name: mnist, limit: 100}}\nmodel: {layers: [Flatten]}\nprecision: mixed_float16\n",
    "data: {image_masks: {path: ., mask_values: {0: a, 255: b}}}\nmodel: {layers: [{Conv2D: {filters: 4, kernel_size: "
    "3, name: a}}, {Conv2D: {filters: 4, kernel_size: 3, inputs: [a]}}, {Add: {inputs: [a, a]}}]}\n",
    "data: {directory: {path: ., image_size: 32, on_bad_file: skip, color_mode: rgba, fit_mode: pad}}\nmodel: "
    "{MobileNetV2: {weights: null, trainable: false}}\nfit: {class_weight: {0: 1, a: 2}, validation_split: 0.2}\n"
    "preprocessing: [Rescaling: {scale: 1./255}]\naugmentation: [RandomFlip, {RandomRotation: {factor: 0.1}}]\n",
    "data: &d {npz: &n {path: a.npz}}\nmodel: &m {LeNet: {<<: {}}}\ncheckpoint: {monitor: val_loss, keep: 1}\n",
)
"""Experiments with every section, source and kind of network."""

NUMBERS = (
    *("0", "1", "-1", "2", "0.5", "-0.0", "1e-3", "1e400", "-1e400", "1e-400", "2147483648", "4294967296"),
    *("18446744073709551616", "9" * 400, "9" * 2000, ".nan", ".inf", "-.inf", "1_000", "1_6", "08", "0x1F", "0o17"),
    *("1:30", "1e5", "100000000", "1.5", "2.", ".5", "+3", "1e", "-", "1/0", "1./255", "3,", "4294967295", "1e308"),
)
TEXTS = (
    *("null", "~", "''", '""', "true", "no", "off", "a", "A", "a b", "é", "'\u202e'", "日本語", "'😀'", "<<", "=", "*"),
    *('"\\0"', '"\\n"', '"\\ud800"', '"\\x1b[31m"', '"a\\u2028b"', "'{}'", "'%s%n'", "'$x$'", "'{0.__class__}'", "NaN"),
    *("~nosuchuser/x", "'~'", "/", "..", "/dev/null", "/etc/passwd", "'.'", "'a/../b'", "'" + "x" * 300 + "'", "''''"),
    *("(3, 3)", "Dense(64)", "!!python/none x", "!!int 3", "!x y", "!!binary aGk=", "&z 1", "*z", "!!set {a}", "input"),
    *("2020-01-01", "12:30:00", "1e-3x", "val_loss", "accuracy", "valid", "imagenet", "saved", "auto", "balanced"),
    *("'" + "9" * 5000 + "'", "'" + "(" * 500 + "'", "None", "[]x", "2GiB", "1e999GiB", "-1h", "9e99d", ".5 days"),
)
COLLECTIONS = (
    *("[]", "{}", "[[]]", "[null]", "{a: }", "{? [a] : b}", "[1, [2, [3]]]", "{a: {b: {c: 1}}}", "[{}]", "{'': 1}"),
    *("[1, 2, 3]", "[a, a]", "[0, 0]", "[-1, -1]", "[1e9, 1e9]", "[.nan]", "[100000, 100000]", "[true]", "[~, 3]"),
    "[" + "1, " * 3000 + "1]",
    "[" * 90 + "]" * 90,
    "{a: " * 60 + "1" + "}" * 60,
    "[" * 3000,
    "{class_name: Dense, config: {units: 3}}",
    "{class_name: 1, config: 2}",
    "{class_name: Dense}",
    "{module: keras.layers, class_name: Dense, config: {units: 3}, registered_name: null}",
    "[&b [1, 1], &c [*b, *b, *b, *b], &d [*c, *c, *c, *c], &e [*d, *d, *d, *d], &f [*e, *e, *e], *f]",
    "&r [*r]",
    "&r {a: *r}",
    "{<<: &r {<<: *r}}",
    "{<<: [1, {a: 2}], a: 3}",
)
ODD = (*NUMBERS, *TEXTS, *COLLECTIONS)
FAMILIES_BY_KEY = {
    **{"optimizer": "optimizers", "inner_optimizer": "optimizers", "learning_rate": "schedules", "loss": "losses"},
    **{"metrics": "metrics", "callbacks": "callbacks", "layers": "layers", "preprocessing": "layers"},
    **{"augmentation": "layers", "kernel_initializer": "initializers", "kernel_regularizer": "regularizers"},
    **{"kernel_constraint": "constraints", "layer": "layers", "activation": "activations"},
}

Node = str | list
"""A scalar as it is written; `["map", [key, value], …]`, keys as they are written; or `["seq", value, …]`."""


@dataclass(frozen=True)
class Case:
    """An experiment file and what the command line changes in it."""

    file: Path
    overrides: tuple[str, ...]


def prepare() -> None:
    """Import and look up what every case needs."""
    corpus()
    for family in keras_catalogue.FAMILIES:
        for name in keras_catalogue.names(family):
            _arguments(family, name)


def make(rng: random.Random, folder: Path) -> Case:
    shutil.copy(PLUGIN, folder)
    root = rng.choice(corpus())
    root = _grafted(rng, copied(root)) if rng.random() < 0.2 else copied(root)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8))):
        mutate(rng, root)
    text = written(rng, root)
    if rng.random() < 0.3:
        text = mutated_text(rng, text)
    content = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        content = mutated_bytes(rng, content)
    file = folder / "case.yaml"
    file.write_bytes(content)
    overrides = tuple(override(rng, root) for _ in range(rng.choice((1, 1, 2)))) if rng.random() < 0.1 else ()
    if overrides:
        (folder / "overrides.txt").write_text("\n".join(map(repr, overrides)))
    return Case(file, overrides)


def check(case: Case) -> str:
    """Do what `kerasrun validate --resolved` does."""
    experiment = load(case.file, case.overrides).experiment
    text = resolved_yaml(experiment)
    again = parse(text, case.file.with_name("resolved.yaml")).experiment
    assert as_plain(again) == as_plain(experiment) or ".nan" in text, f"what is resolved is read as another:\n{text}"
    return "accepted"


def what_is_wrong_with(error: KerasrunError, case: Case) -> str | None:
    """Say why the refusal of an experiment is not one that helps."""
    if not isinstance(error, ExperimentError):
        return f"{type(error).__name__}, not ExperimentError"
    first = str(error).splitlines()[0]
    place = re.match(re.escape(str(case.file)) + r":(\d+):(\d+): ", first)
    if place is None:
        return None if re.match(r"--set .*: column \d+", str(error), re.DOTALL) else "a refusal without a place"
    return what_is_wrong_with_place(case.file, *map(int, place.groups()))


def what_is_wrong_with_place(file: Path, line: int, column: int) -> str | None:
    """Say if a file has no such place."""
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", file.read_bytes().decode("utf-8", "replace"))
    is_there = 1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 2
    return None if is_there else "a refusal with a place that is not in the file"


@cache
def corpus() -> tuple[Node, ...]:
    files = sorted((ROOT / "configs").glob("*.yaml"))
    texts = [file.read_text(encoding="utf-8") for file in files]
    assert len(texts) > 10
    return tuple(_node(yaml.compose(text)) for text in (*texts, *SMALL))


@cache
def _fragments() -> tuple[Node, ...]:
    """The sections that the documentation shows."""
    found = []
    for page in ("experiment", "augmentation"):
        text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
        found += [_node(yaml.compose(one)) for one in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert len(found) > 5
    return tuple(one for one in found if one[0] == "map")


def _node(node: yaml.Node) -> Node:
    if isinstance(node, yaml.MappingNode):
        return ["map", *([_node(key), _node(value)] for key, value in node.value)]
    if isinstance(node, yaml.SequenceNode):
        return ["seq", *map(_node, node.value)]
    quoted = node.value.replace("'", "''")
    return node.value if node.style is None and node.value else f"'{quoted}'"


def copied(node: Node) -> Node:
    return node if isinstance(node, str) else [copied(one) if isinstance(one, list) else one for one in node]


def _grafted(rng: random.Random, root: Node) -> Node:
    fragment = copied(rng.choice(_fragments()))
    keys = [key for key, _ in fragment[1:]]
    return ["map", *(pair for pair in root[1:] if pair[0] not in keys), *fragment[1:]]


def slots_of(node: Node, above: tuple[str, ...] = ()) -> Iterator[tuple[list, int, tuple[str, ...]]]:
    """Give every place of a value: the list that holds it, its index there, and the keys above it."""
    if isinstance(node, str):
        return
    for index in range(1, len(node)):
        holder, place = (node[index], 1) if node[0] == "map" else (node, index)
        keys = (*above, str(node[index][0])) if node[0] == "map" else above
        yield holder, place, keys
        yield from slots_of(holder[place], keys)


def mutate(rng: random.Random, root: Node) -> None:
    slots = list(slots_of(root))
    if not slots:
        root.append(["a", rng.choice(ODD)])
        return
    holder, place, keys = rng.choice(slots)
    maps = [root, *(one[at] for one, at, _ in slots if isinstance(one[at], list) and one[at][0] == "map")]
    lists = [one[at] for one, at, _ in slots if isinstance(one[at], list) and len(one[at]) > 1]
    chosen = rng.choice(lists or [root])
    match rng.randrange(16):
        case 0 | 1:  # another scalar, or another type
            holder[place] = rng.choice(ODD)
        case 2 | 3:
            holder[place] = _component(rng, keys)
        case 4:
            rng.choice(maps).append(_field(rng))
        case 5 if len(chosen) > 1:  # a key or an item is dropped
            del chosen[rng.randrange(1, len(chosen))]
        case 6 if len(chosen) > 1:  # or is there twice
            chosen.insert(rng.randrange(1, len(chosen) + 1), copied(rng.choice(chosen[1:])))
        case 7:  # or is where it does not belong
            other, at, _ = rng.choice(slots)
            other[at], holder[place] = copied(holder[place]), copied(other[at])
        case 8:
            target = rng.choice(maps)
            target.append([rng.choice(keys or ("a",)), copied(holder[place])])
        case 9:  # a key is called otherwise
            pairs = [pair for one in maps for pair in one[1:]]
            if pairs:
                pair = rng.choice(pairs)
                pair[0] = rng.choice((_misspelled(rng, pair[0]), rng.choice(ODD), rng.choice(_names())))
        case 10:  # one level too many
            holder[place] = rng.choice((["seq", holder[place]], ["map", [rng.choice(ODD), holder[place]]]))
        case 11:  # or one that is missing
            inner = holder[place]
            if isinstance(inner, list) and len(inner) > 1:
                holder[place] = inner[1][1] if inner[0] == "map" else inner[1]
        case 12 if len(chosen) > 1:  # a long list
            chosen += [copied(chosen[-1]) for _ in range(rng.choice((3, 100, 1000)))]
        case 13:  # deep
            for _ in range(rng.choice((3, 30, 120))):
                holder[place] = ["seq", holder[place]] if rng.random() < 0.5 else ["map", ["layer", holder[place]]]
        case 14 if isinstance(holder[place], str):
            holder[place] = _misspelled(rng, holder[place])
        case _:
            holder[place] = rng.choice(NUMBERS)


def _misspelled(rng: random.Random, name: object) -> str:
    text = str(name)
    at = rng.randrange(len(text) + 1)
    return rng.choice(
        (text.lower(), text.upper(), text[:at] + text[at + 1 :], text[:at] + rng.choice("_x é:#'") + text[at:])
    )


@cache
def _names() -> tuple[str, ...]:
    found = [name for family in keras_catalogue.FAMILIES for name in keras_catalogue.names(family)]
    found += [*kinds("kerasrun.sources"), *kinds("kerasrun.models"), *Experiment.model_fields]
    return tuple(found)


@cache
def _arguments(family: str, name: str) -> tuple[str, ...]:
    return tuple(one.name for one in keras_catalogue.signature(family, name).parameters)


def _component(rng: random.Random, keys: tuple[str, ...]) -> Node:
    """Return something with arguments that Keras or kerasrun has, mostly of the kind that belongs here."""
    meant = next((FAMILIES_BY_KEY[key] for key in reversed(keys) if key in FAMILIES_BY_KEY), None)
    if rng.random() < 0.2 or meant is None:
        meant = rng.choice((*keras_catalogue.FAMILIES, "sources", "models", "generator"))
    if meant == "generator":
        name, known = ImageDataGenerator.kind, tuple(ImageDataGenerator.model_fields)
    elif meant in ("sources", "models"):
        family = kinds(f"kerasrun.{meant}")
        name = rng.choice(list(family))
        known = tuple(family[name].model_fields)
    else:
        name = rng.choice(keras_catalogue.names(meant))
        known = _arguments(meant, name)
    if rng.random() < 0.2:
        return name
    chosen = rng.sample(known, min(len(known), rng.choice((0, 1, 1, 2, 3))))
    return ["map", [name, ["map", *([one, _value(rng, one)] for one in chosen)]]]


def _value(rng: random.Random, key: str) -> Node:
    if key in FAMILIES_BY_KEY and rng.random() < 0.5:
        return _component(rng, (key,))
    return rng.choice(rng.choice((NUMBERS, ODD)))


def _field(rng: random.Random) -> list:
    section = rng.choice((Experiment, Experiment, Compile, Fit, Checkpoint, Cache, Stage))
    key = rng.choice(list(section.model_fields))
    return [key, _value(rng, key)]


def written(rng: random.Random, root: Node) -> str:
    """Return the text, in block style down to some level."""
    return _block(root, 0, rng.choice((1, 2, 3, 9))) + "\n"


def _block(node: Node, indent: int, levels: int) -> str:
    if isinstance(node, str) or len(node) == 1 or not levels:
        return _flow(node)
    pad = " " * indent
    if node[0] == "map":
        lines = [f"{pad}{_flow(key)}: {_below(value, indent + 2, levels - 1)}" for key, value in node[1:]]
    else:
        lines = [f"{pad}- {_block(value, indent + 2, levels - 1).lstrip(' ')}" for value in node[1:]]
    return "\n".join(lines)


def _below(node: Node, indent: int, levels: int) -> str:
    text = _block(node, indent, levels)
    return text if isinstance(node, str) or len(node) == 1 or not levels else f"\n{text}"


def _flow(node: Node) -> str:
    if isinstance(node, str):
        return node
    if node[0] == "map":
        return "{" + ", ".join(f"{_flow(key)}: {_flow(value)}" for key, value in node[1:]) + "}"
    return "[" + ", ".join(map(_flow, node[1:])) + "]"


_INSERTED = (
    *(":", ": ", "- ", "\t", "#", "'", '"', "{", "}", "[", "]", "&a ", "*a", "!!str ", "? ", "| ", "> ", "%", "@", "`"),
    *(
        "\n---\n",
        "\n...\n",
        "%YAML 1.1\n---\n",
        "\r",
        "\x85",
        "\u2028",
        "\ufeff",
        "\x00",
        "\x07",
        "<<: *a",
        "\ud800",
        ",",
    ),
)


def mutated_text(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(8):
        case 0:
            return text[: rng.randrange(len(text) + 1)]
        case 1:
            del lines[at]
        case 2:
            lines.insert(other, lines[at])
        case 3:
            lines[at], lines[other] = lines[other], lines[at]
        case 4:
            lines[at] = rng.choice((" ", "  ", "\t", "    ")) + lines[at]
        case 5:
            lines[at] = lines[at].lstrip()
        case 6:
            for _ in range(rng.choice((1, 1, 3))):
                place = rng.randrange(len(text) + 1)
                text = text[:place] + rng.choice(_INSERTED) + text[place:]
            return text
        case _:
            return (
                rng.choice(("\ufeff", "", "\r"))
                + text.replace("\n", rng.choice(("\r\n", "\r", "\n\n", " \n", "\n "))) * 2
            )
    return "\n".join(lines)


def mutated_bytes(rng: random.Random, content: bytes) -> bytes:
    """Return bytes of which some are others, missing, there twice, or at the end."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        size = max(1, len(found))
        begin = rng.randrange(size) if rng.random() < 0.6 else rng.randrange(min(size, 64))
        end = min(len(found), begin + rng.choice((1, 1, 2, 4, 16, 256)))
        match rng.randrange(7):
            case 0 | 1:
                found[begin:end] = bytes(byte ^ 1 << rng.randrange(8) for byte in found[begin:end])
            case 2:
                found[begin:end] = rng.randbytes(end - begin)
            case 3:
                found[begin:end] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * (end - begin)
            case 4:
                del found[begin:end]
            case 5:
                found[begin:begin] = found[begin:end]
            case _:
                del found[begin:]
    return bytes(found)


def override(rng: random.Random, root: Node) -> str:
    slots = list(slots_of(root)) or [([], 0, ("a",))]
    keys = [key.strip("'") for key in rng.choice(slots)[2]]
    if rng.random() < 0.3:
        keys.append(rng.choice((*_names(), "0", "1", "99999999999", "", " ", "-1", "²", "é", ".")))
    value = _flow(_value(rng, keys[-1] if keys else ""))
    return rng.choice(
        (f"{'.'.join(keys)}={value}",) * 8 + (value, f"={value}", f"{'.'.join(keys)}", f"{value}={value}")
    )
