"""Every name and argument of Keras in an experiment, checked against the installed Keras without importing it."""

import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from kerasrun import plugins
from kerasrun.callbacks import adapter_of, written_callbacks
from kerasrun.experiment.refused import refusal
from kerasrun.experiment.schedules import DECAY, epoch_arguments
from kerasrun.experiment.slots import components
from kerasrun.keras_bounds import Bounds, bounds_of_work
from kerasrun.keras_catalogue import (
    FAMILIES,
    RATES,
    Parameter,
    added,
    canonical,
    family_of_argument,
    full_name,
    identifiers,
    refused_by_keras,
    signature,
    tensors,
)
from kerasrun.keras_rules import UNKNOWN
from kerasrun.models.layers import is_applied_again
from kerasrun.reading.data import INPUT
from kerasrun.text.document import Document, Written, written_component, written_list
from kerasrun.text.problems import Place, Problem, Suggestion, closest, dotted, listed, shown
from kerasrun.text.yaml_text import Node, Path, plain

LAYER_KEYS = ("inputs",)
"""Arguments of an entry of `model: {layers: […]}` that are not Keras's."""

_WORDS = {family: family[:-1] for family in FAMILIES} | {
    "schedules": "learning-rate schedule",
    "losses": "loss",
    RATES: "function of the epoch",
}
_FORMER_NAMES = {
    **{
        "lr": "learning_rate",
        "nb_epoch": "epochs",
        "nb_filter": "filters",
        "output_dim": "units",
        "subsample": "strides",
    },
    **{"border_mode": "padding", "dim_ordering": "data_format", "init": "kernel_initializer", "bias": "use_bias"},
    **{"W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer", "W_constraint": "kernel_constraint"},
    **{"inner_init": "recurrent_initializer", "p": "rate", "pool_length": "pool_size", "filter_length": "kernel_size"},
    **{"epsilon": "min_delta", "period": "save_freq", "sigma": "stddev"},
    **{"alpha": "negative_slope", "atrous_rate": "dilation_rate", "nb_row": "kernel_size", "nb_col": "kernel_size"},
}
"""The names that arguments had in Keras 1 and 2."""
_FROM_THE_DATA = ("input_shape", "input_dim", "batch_input_shape", "input_length")
_WITHOUT_SUCCESSOR = {
    ("TensorBoard", "write_grads"): "Keras 3 writes no gradients; histogram_freq writes weights",
    ("TensorBoard", "batch_size"): "it is that of fit.batch_size",
    ("BatchNormalization", "mode"): "Keras 2 and later have one mode",
    **{("BatchNormalization", key): "Keras 3 decides it itself" for key in ("fused", "renorm", "virtual_batch_size")},
    **{(name, "implementation"): "Keras 3 decides it itself" for name in ("GRU", "LSTM", "SimpleRNN")},
}
"""Arguments of Keras 1 and 2 that nothing has taken the place of."""
_NUMBERS = frozenset(
    {"units", "filters", "kernel_size", "rate", "scale"}
    | {"initial_learning_rate", "decay_steps", "first_decay_steps", "decay_rate", "drop", "epochs_drop"}
)
# Their default is None, which does not say so.
_NUMBERS_OR_NOTHING = frozenset(
    {"clipnorm", "clipvalue", "ema_overwrite_frequency", "global_clipnorm", "gradient_accumulation_steps", "seed"}
    | {"loss_scale_factor", "weight_decay", "warmup_target", "baseline", "initial_value_threshold", "ignore_class"}
    | {"num_labels", "threshold", "top_k", "lora_rank", "lora_alpha", "num_tokens", "value_dim"}
    | {"sliding_window", "logit_soft_cap", "max_value", "sequence_length", "max_freq", "frame_step", "fft_length"}
)
# Several numbers are right for these, though their default is one.
ALSO_SEVERAL = frozenset({"alpha", "axis"})
_WHOLE = frozenset(
    {"height", "width", "units", "filters", "kernel_size", "pool_size", "strides", "dilation_rate", "n"}
    | {"input_dim", "output_dim", "num_heads", "key_dim", "value_dim", "num_bins", "num_tokens", "depth_multiplier"}
)
_SHARES_OF_LAYERS = frozenset({"rate", "stddev", "dropout", "recurrent_dropout", "momentum", "drop_path_rate"})
_SHARES = frozenset({"beta_1", "beta_2", "ema_momentum", "momentum", "rho"})
# A share of a turn, of a side, of the colours.
_FACTORS = frozenset({"factor", "height_factor", "width_factor", "x_factor", "y_factor"})
_ABOVE_ZERO = frozenset({"decay_steps", "first_decay_steps", "epochs_drop"})
DTYPE = re.compile(r"(mixed_)?(bfloat16|float(16|32|64))|u?int(8|16|32|64)|bool|(int[48]|float8)(_from_\w+)?")
_AT_LEAST_ZERO = frozenset({"patience", "cooldown", "start_from_epoch", "min_lr", "factor"})
# What Keras's `adapt` would make of data, and an experiment has to give; `Normalization` is adapted in `preprocessing`.
_NOT_ADAPTED = {
    **{"Discretization": "bin_boundaries", "Normalization": "mean"},
    "IntegerLookup": "vocabulary",
}
_CHOICES = {
    ("callbacks", "mode"): ("auto", "min", "max"),
    ("layers", "padding"): ("valid", "same", "causal"),
    ("layers", "fill_mode"): ("constant", "nearest", "wrap", "reflect"),
    ("layers", "mode"): ("horizontal", "vertical", "horizontal_and_vertical"),
    ("layers", "data_format"): ("channels_last", "channels_first"),
}
# Text is right for these, though their default is a number.
_NOT_ONLY_NUMBERS = frozenset({"profile_batch", "verbose"})


def check(document: Document, inputs: Sequence[str] = (INPUT,)) -> list[Problem]:
    """Return everything that is wrong with the components of Keras, and with the graph of the layers.

    Args:
        inputs: the names of the network's inputs.
    """
    checker = _Checker(document, [])
    found = list(components(document))
    for path, node, keras in found:
        if not keras.is_graph:
            checker.component(node, path, keras.family)
    checker.layers([(path, node) for path, node, keras in found if keras.is_graph], inputs)
    checker.names_once([(path, node) for path, node, keras in found if path[0] in ("preprocessing", "model")])
    for path, node, keras in found:
        if keras.family == "optimizers":
            checker.scheduled(written_component(node, path))
    return checker.problems


@dataclass
class _Checker:
    document: Document
    problems: list[Problem]

    def report(
        self, place: Place, path: Path, received: str, expected: str = "", suggestion: Suggestion = None
    ) -> None:
        self.problems.append(Problem(place, dotted(path), received, expected, suggestion))

    def component(self, node: Node, path: Path, family: str, extra: tuple[str, ...] = ()) -> None:
        """Check a name, its arguments, and what these hold in turn."""
        written = written_component(node, path)
        if written is None:
            self.malformed(node, path, family)
            return
        name = self.known_name(written, path, family)
        if name is None:
            return
        known, before = signature(family, name), len(self.problems)
        names = [parameter.name for parameter in known.parameters]
        in_epochs = epoch_arguments(name) if family == "schedules" else {}
        extra = (*extra, *in_epochs.values())
        if family == "optimizers" and "learning_rate" in names:
            extra = (*extra, DECAY)
        meant = set()
        for key, argument in written.arguments.items():
            if key in names:
                self.argument(argument, (*written.path, key), family, known.parameters[names.index(key)])
                if (name, key) == ("PiecewiseConstantDecay", "boundaries"):
                    self.number(argument, (*written.path, key), key)
            elif key in (*in_epochs.values(), DECAY):
                self.number(argument, (*written.path, key), key)
            elif key not in extra and not known.open_ended:
                meant.add(self.unknown_argument(argument, (*written.path, key), name, family, [*names, *extra]))
        for steps, epochs in in_epochs.items():
            if epochs in written.arguments and steps in written.arguments:
                received, expected = f"{epochs} beside {steps}", "expected one of them: both say the same"
                self.problems.append(self.document.problem((*written.path, epochs), received, expected))
        if family == "layers" and "weights" in written.arguments and "weights" in names:
            value = plain(written.arguments["weights"])
            file = value[0] if isinstance(value, list) and len(value) == 1 else value
            is_file = isinstance(file, str) and file.endswith(".npy")
            if not is_file or path[:-1] != ("model", "layers"):
                received = "an array as 'weights'" if not isinstance(file, str) else f"received {shown(file)}"
                expected = "expected [vectors.npy], a file with an array, in an Embedding of model.layers"
                self.problems.append(self.document.key_problem((*written.path, "weights"), received, expected))
        called = _text(written, "name")
        if path[0] in ("preprocessing", "model") and called and re.search(r"[^A-Za-z0-9_.>/-]", called):
            received, expected = (
                f"a layer called '{called}'",
                "expected a name of letters from a to z, digits, '_' and '-'",
            )
            self.report(written.arguments["name"].place, (*written.path, "name"), received, expected)
        needed = _NOT_ADAPTED.get(name) if family == "layers" else None
        if needed and needed not in written.arguments and not (name == "Normalization" and _is_preprocessing(path)):
            elsewhere = ", or the layer in 'preprocessing'" if name == "Normalization" else ""
            expected = f"expected its '{needed}'{elsewhere}: nothing here calls Keras's adapt"
            self.report(written.place, written.path, f"{name} without what it is adapted to", expected)
        given = written.arguments.keys() | meant
        given |= {steps for steps, epochs in in_epochs.items() if epochs in given}
        missing = [one.name for one in known.parameters if one.required and one.name not in given]
        if missing:
            needed = listed([f"'{argument}'" for argument in missing], "and")
            expected = f"expected {{{written.name}: {{{', '.join(f'{argument}: …' for argument in missing)}}}}}"
            verb = "is" if len(missing) == 1 else "are"
            self.report(written.place, written.path, f"{needed} {verb} missing", expected)
        if len(self.problems) == before:
            self.constructor(written, family, name, names)

    def constructor(self, written: Written, family: str, name: str, names: list[str]) -> None:
        """Report arguments that are right one by one, but that Keras's constructor refuses."""
        given = {key: node for key, node in written.arguments.items() if key in names}
        values = {
            key: UNKNOWN if node.value is not None and family_of_argument(family, key) else plain(node)
            for key, node in given.items()
        }
        refused = refused_by_keras(family, name, values)
        if refused is None:
            return
        looked_at = (*refused.names, *re.findall(r"\w+", str(refused)))
        key = next((one for one in looked_at if one in given), None)
        place, path = (given[key].place, (*written.path, key)) if key else (written.place, written.path)
        received = f"received {shown(given[key].value)}" if key else f"Keras refuses these arguments of {written.name}"
        self.report(
            place, path, received, f"Keras's {written.name} says: {str(refused).rstrip('.') or 'it is refused'}"
        )

    def known_name(self, written: Written, path: Path, family: str) -> str | None:
        """Return the catalogue's name; None after reporting one that is unknown or refused."""
        section = str(path[0])
        try:
            name = canonical(family, written.name)
        except KeyError:
            name = written.name
            reason = refusal(family, name, section)
            if reason is None:
                received = f"unknown {_WORDS[family]} '{name}'"
                of_keras = f"a name of {FAMILIES[family]}" if family in FAMILIES else None
                expected = f"expected {of_keras or listed(usable(family, section))}"
                meant = re.sub(f"{_WORDS[family]}$", "", name, flags=re.IGNORECASE)  # AdamOptimizer
                suggestion: Suggestion = lambda: closest(meant or name, usable(family, section))  # noqa: E731
                if family == "losses" and meant.lower().replace("_", "") == "crossentropy":
                    expected, suggestion = "expected none: without 'loss', the cross-entropy that fits the labels", None
                self.report(written.place, path, received, expected, suggestion)
                return None
        reason = refusal(family, name, section) or plugins.refusal(family, name)
        if reason is not None:
            received = f"'{written.name}' is refused: {reason}"
            self.report(written.place, path, received)
            return None
        return name

    def malformed(self, node: Node, path: Path, family: str) -> None:
        """Report what is neither `Name` nor `{Name: {…}}`, and forgotten indentation as such."""
        word = _WORDS[family]
        article = "an" if word[0] in "aeiou" else "a"
        expected = f"expected {article} {word}: Name or {{Name: {{argument: value}}}}"
        place, received = node.place, f"received {shown(node.value)}"
        if isinstance(node.value, dict) and len(node.value) == 1:
            ((name, value),) = node.value.items()
            place, received = value.place, f"received {shown(value.value)} for '{name}'"
            expected = f"expected its arguments: {{{name}: {{argument: value}}}}"
            if family == "optimizers" and name in [one.name for one in signature(family, "Adam").parameters]:
                received = f"the argument '{name}' without its optimizer"
                expected = f"expected {{Adam: {{{name}: …}}}}, or with the name of another optimizer"
        elif isinstance(node.value, dict) and node.value:
            first, second, *_ = node.value
            named = next((key for key in ("name", "type", "class") if key in node.value), None)
            place, received = node.value[second].key or place, f"'{second}' beside '{first}'"
            expected = f"expected one {word}, its arguments below it: indent '{second}' further than '{first}'"
            if second.endswith(")"):
                expected = "expected several numbers in brackets: [3, 3]"
            holds_more = any(isinstance(one.value, dict) for one in node.value.values())
            if named and not holds_more and isinstance(node.value[named].value, str):
                others = ", ".join(f"{key}: …" for key in node.value if key != named)
                received = f"'{named}' as a key"
                expected = f"expected the name before its arguments: {{{node.value[named].value}: {{{others}}}}}"
            elif path == ("compile", "loss"):
                expected += "; or the names of several outputs under model.outputs"
        self.report(place, path, received, expected)

    def unknown_argument(self, node: Node, path: Path, component: str, family: str, names: list[str]) -> str | None:
        """Report an argument that Keras does not know; the one that was probably meant is returned."""
        key = str(path[-1])
        suggestion = _FORMER_NAMES.get(key) if _FORMER_NAMES.get(key) in names else closest(key, names)
        whose = full_name(family, component)
        expected = f"expected an argument of {whose}" if suggestion else f"expected {listed(names)}" if names else ""
        received = f"unknown argument '{key}' of {component}"
        if family == "layers" and key in _FROM_THE_DATA:
            suggestion, expected = None, "expected none: the data decide the shape of the input"
        if reason := _WITHOUT_SUCCESSOR.get((component, key)):
            suggestion, expected = None, f"expected none: {reason}"
        if key.endswith(")"):
            suggestion, expected = None, "expected several numbers in brackets: [3, 3]"
        if key == "period":
            suggestion, expected = None, "expected save_freq: epoch, which saves after each epoch"
        if not names:
            received, expected = f"the argument '{key}' of {component}", f"expected none: {whose} takes no arguments"
        self.problems.append(Problem(node.key or node.place, dotted(path), received, expected, suggestion))
        return suggestion

    def argument(self, node: Node, path: Path, family: str, parameter: Parameter) -> None:
        """Check a value: what it holds in turn, or that it is not text where a number is wanted."""
        if node.value is None:
            self.nothing(node, path, family, parameter)
            return
        inner = family_of_argument(family, parameter.name)
        if inner is None:
            self.plain_value(node, path, family, parameter)
        elif inner == "layers" and parameter.name in ("layers", "cells"):
            for item_path, item in written_list(node, path):
                self.component(item, item_path, inner)
        elif inner == "schedules" and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            self.plain_value(node, path, family, parameter)
        elif inner == "activations" and isinstance(node.value, str):
            self.known_name(Written(node.value, path, node.place, {}), path, inner)
        elif inner == "activations":
            self.report(node.place, path, f"received {shown(node.value)}", "expected a name of keras.activations")
        elif inner == "schedules" and not isinstance(node.value, dict):
            expected = "expected a number, or a schedule: {ExponentialDecay: {argument: value}}"
            self.report(node.place, path, f"received {shown(node.value)}", expected)
        else:
            self.component(node, path, inner)

    def nothing(self, node: Node, path: Path, family: str, parameter: Parameter) -> None:
        """Report `null` where Keras has no use for it: it takes a number, or has no default."""
        is_keras = not added(family, canonical(family, str(path[-2])))
        is_number = parameter.default != "None" and _is_one_number(parameter, is_keras)
        if is_keras and (parameter.required or (is_number and parameter.name not in ALSO_SEVERAL)):
            self.report(node.place, path, "received nothing", f"expected {'a number' if is_number else 'a value'}")

    def number(self, node: Node, path: Path, key: str) -> None:
        """Check a count of epochs, several of these in rising order, or `decay`."""
        value = plain(node)
        several, may_be_zero = key.startswith("boundaries"), key in (DECAY, "warmup_epochs")
        numbers = value if several and isinstance(value, list) else [value]
        if (
            (several and not isinstance(value, list))
            or any(isinstance(one, bool) or not isinstance(one, int | float) for one in numbers)
            or any(one < 0 or (one == 0 and not may_be_zero) for one in numbers)
            or sorted(set(numbers)) != numbers
        ):
            what = "a list of rising numbers" if several else "a number"
            bound = "of at least 0" if may_be_zero else "above 0"
            self.problems.append(self.document.problem(path, f"received {shown(value)}", f"expected {what} {bound}"))

    def plain_value(self, node: Node, path: Path, family: str, parameter: Parameter) -> None:
        if expected := _text_expected(node.value, family, parameter.name):
            self.report(node.place, path, f"received {shown(node.value)}", expected)
            return
        if family == "layers" and _is_no_factor(plain(node), str(path[-2]), parameter.name):
            expected = "expected a number, or two in brackets: [0.1, 0.3]"
            self.report(node.place, path, f"received {shown(node.value)}", expected)
            return
        if isinstance(node.value, list) and family == "layers" and str(path[-2]) != "RandomZoom":  # it may zoom out far
            for item_path, item in written_list(node, path):
                if not isinstance(item.value, list):
                    self.plain_value(item, item_path, family, parameter)
            return
        component = str(path[-3] if isinstance(path[-1], int) else path[-2])
        is_keras = family not in FAMILIES or not added(family, component)
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            if expected := _range(node.value, family, component, parameter.name):
                self.problems.append(self.document.problem(path, f"received {shown(node.value)}", expected))
            return
        if not isinstance(node.value, str):
            is_one = is_keras and family != "layers" and parameter.name not in ALSO_SEVERAL
            if is_one and _is_one_number(parameter, is_keras):
                self.report(node.place, path, f"received {shown(node.value)}", "expected a number")
            return
        default = parameter.plain_default
        expected = None
        choices = choices_of(family, parameter)
        suggestion = closest(node.value, choices)
        if isinstance(default, bool):
            expected, suggestion = "expected true or false", _as_boolean(node.value)
        elif takes_number(family, parameter, is_keras):
            expected = "expected a number; YAML does not calculate" if "/" in node.value else "expected a number"
            suggestion = _quotient(node.value) or suggestion
            if node.value.startswith("("):
                expected = "expected several numbers in brackets: [3, 3]"
        elif choices and node.value not in choices:
            expected = f"expected {listed(choices)}"
        if expected:
            received = f"received the text {shown(node.value)}"
            self.report(node.place, path, received, expected, suggestion)

    def layers(self, entries: list[tuple[Path, Node]], given: Sequence[str]) -> None:
        """Check the layers of a graph: each layer, its name, and the inputs or earlier layers that it is applied to."""
        all_names = {_text(entry, "name") for entry in (written_component(node, at) for at, node in entries) if entry}
        earlier = dict.fromkeys(given)
        untaken, before = set(given), len(self.problems)
        for place, (entry_path, node) in enumerate(entries):
            entry = written_component(node, entry_path)
            if entry is not None and entry.name not in given and is_applied_again(entry.name, earlier):
                self.applied_again(entry)
            else:
                self.component(node, entry_path, "layers", extra=LAYER_KEYS)
            if entry is None:
                continue
            inputs = self.inputs(entry)
            for input_path, one in inputs:
                self.input(one, input_path, earlier, all_names)
            untaken -= {one.value for _, one in inputs if isinstance(one.value, str)}
            if place == 0 and len(given) > 1 and not inputs and "inputs" not in entry.arguments:
                received = f"{entry.name} without inputs, of which there are several"
                self.report(entry.place, entry.path, received, f"expected inputs: [name], of {listed(given)}")
            self.enough_inputs(entry, len(inputs))
            name = _text(entry, "name")
            if name in earlier:
                received, expected = f"a second layer called '{name}'", "expected every name once"
                if name in given:
                    received, expected = f"a layer called '{name}'", "expected another name: it is an input's"
                self.report(entry.arguments["name"].place, (*entry.path, "name"), received, expected)
            elif name:
                earlier[name] = None
        if entries and len(given) > 1 and len(self.problems) == before:
            for name in sorted(untaken):
                received, expected = f"no layer takes the input '{name}'", f"expected a layer with inputs: [{name}]"
                self.problems.append(self.document.key_problem(("model", "layers"), received, expected))

    def names_once(self, entries: list[tuple[Path, Node]]) -> None:
        """Refuse a layer in front of the network with the name of another: a network has every name once."""
        seen: set[str] = set()
        for path, node in sorted(entries, key=lambda entry: entry[0][0] == "model"):
            entry = written_component(node, path)
            name = _text(entry, "name") if entry else None
            if entry and name and name in seen and not (path[0] == "model" and entry.name in seen):
                received, expected = f"a second layer called '{name}'", "expected every name once"
                self.report(entry.arguments["name"].place, (*entry.path, "name"), received, expected)
            elif entry and name == INPUT and path[0] == "preprocessing":
                received, expected = (
                    f"a layer called '{INPUT}'",
                    f"expected another name: '{INPUT}' is the input itself",
                )
                self.report(entry.arguments["name"].place, (*entry.path, "name"), received, expected)
            elif name and path[0] == "preprocessing":
                seen.add(name)

    def applied_again(self, entry: Written) -> None:
        """Refuse arguments of a layer that an earlier entry made."""
        for key in [key for key in entry.arguments if key not in ("name", *LAYER_KEYS)]:
            received = f"the argument '{key}' of {entry.name}, a layer that is applied again"
            expected = "expected inputs and name alone"
            self.problems.append(self.document.key_problem((*entry.path, key), received, expected))

    def inputs(self, entry: Written) -> list[tuple[Path, Node]]:
        node = entry.arguments.get("inputs")
        path = (*entry.path, "inputs")
        if node is not None and not (isinstance(node.value, list) and node.value):
            expected = "expected a list of names of earlier layers: [name, name]"
            self.report(node.place, path, f"received {shown(node.value)}", expected)
        return written_list(node, path)

    def input(self, node: Node, path: Path, earlier: dict[str, None], all_names: set[str | None]) -> None:
        name = node.value if isinstance(node.value, str) else None
        if name in earlier:
            return
        received, expected = f"no layer is called {shown(node.value)}", f"expected {listed(earlier)}"
        count = len(earlier)  # when it is told, there are more
        suggestion: Suggestion = lambda: closest(name, islice(earlier, count)) if name else None  # noqa: E731
        if name is not None and name in all_names:
            received, expected = f"the layer {shown(node.value)} comes later", "expected a layer above this one"
            suggestion = None
        self.report(node.place, path, received, expected, suggestion)

    def enough_inputs(self, entry: Written, number: int) -> None:
        """Check that layers that take tensors one by one, as attention does, have all of them."""
        if entry.name not in identifiers("layers"):
            return
        needed = tensors(entry.name)
        if max(number, 1) < len(needed):
            received = f"{entry.name} on {number or 'the layer before alone'}" + (" input" if number else "")
            expected = f"expected inputs: [{', '.join(needed)}], names of earlier layers"
            self.report(entry.place, entry.path, received, expected)

    def scheduled(self, optimizer: Written | None) -> None:
        """Refuse callbacks that set the learning rate where a schedule does, as Keras would."""
        inner = optimizer.arguments.get("inner_optimizer") if optimizer else None
        if optimizer and inner:
            optimizer = written_component(inner, (*optimizer.path, "inner_optimizer"))
        if optimizer is None:
            return
        rate, decay = optimizer.arguments.get("learning_rate"), optimizer.arguments.get(DECAY)
        schedule = written_component(rate, (*optimizer.path, "learning_rate")) if rate else None
        scheduled = rate is not None and isinstance(rate.value, dict) and schedule is not None
        if decay is not None and decay.value and scheduled:
            received = f"decay beside a schedule as the learning rate of {optimizer.name}"
            self.report(decay.place, (*optimizer.path, DECAY), received, "expected one of them")
        if scheduled and schedule:
            what = f"the schedule {schedule.name} of {dotted(schedule.path[:-1])}"
        elif decay is not None and decay.value:
            what = f"the decay of {dotted(optimizer.path)}, which is a schedule"
        else:
            return
        for callback in written_callbacks(self.document):
            if adapter_of(callback.name).sets_learning_rate:
                expected = "expected one of them: both set the learning rate"
                received = f"{callback.name} beside {what}"
                self.report(callback.place, callback.path[:2], received, expected)


def _is_preprocessing(path: Path) -> bool:
    """Return whether a layer stands in front of an input, and not within another layer."""
    *sections, _ = path
    return sections[0] == "preprocessing" and all(isinstance(one, str) for one in sections) and len(sections) < 3


def _as_boolean(written: str) -> str | None:
    words: dict[str, Iterable[str]] = {"true": ("yes", "on", "y", "t"), "false": ("no", "off", "n", "f")}
    return next((value for value, spellings in words.items() if written.lower() in spellings), None)


def _text(entry: Written, key: str) -> str | None:
    node = entry.arguments.get(key)
    return node.value if node is not None and isinstance(node.value, str) else None


def _text_expected(value: object, family: str, parameter: str) -> str | None:
    """Return what was expected of a `name` or a `dtype`, which each family of Keras takes; None if it is one."""
    if parameter == "name" and not (isinstance(value, str) and (family != "optimizers" or "/" not in value)):
        return "expected a text without '/'" if family == "optimizers" else "expected a text"
    if parameter == "dtype" and not (isinstance(value, str) and DTYPE.fullmatch(value)):
        return "expected the name of a type of numbers, such as float32"
    return None


def _is_no_factor(value: object, component: str, parameter: str) -> bool:
    """Return whether a factor is neither one value nor two; whether these are text is looked at elsewhere."""
    if parameter not in _FACTORS or _may_be_anything("layers", component):
        return False
    values = value if isinstance(value, list) and len(value) == 2 else [value]
    return any(isinstance(one, bool) or not isinstance(one, int | float | str) for one in values)


def takes_number(family: str, parameter: Parameter, is_keras: bool) -> bool:
    """Return whether a parameter takes a number, and in layers several; no text."""
    return _is_one_number(parameter, is_keras) or (
        parameter.required and family in ("layers", "schedules", RATES) and parameter.name in _NUMBERS
    )


def choices_of(family: str, parameter: Parameter) -> tuple[str, ...]:
    """Return the texts that a parameter may be; none where it may be any."""
    choices = _CHOICES.get((family, parameter.name), ())
    return choices if parameter.plain_default in (None, *choices) else ()


_POSITIVE = Bounds("a number above 0", 0, is_above=True)
_NOT_NEGATIVE = Bounds("a number of at least 0", 0)
_A_SHARE = Bounds("a share from 0 to 1", 0, 1)
_A_FACTOR = Bounds("a share from -1 to 1", -1, 1)
_A_COUNT = Bounds("a whole number of at least 1", 1, is_whole=True)
_BATCHES = Bounds("a number of batches, at least 1, or epoch", 1)
_OF_LAYERS = {
    **dict.fromkeys(_SHARES_OF_LAYERS, _A_SHARE),
    "epsilon": _NOT_NEGATIVE,
    **dict.fromkeys(_FACTORS, _A_FACTOR),
    **dict.fromkeys(_WHOLE, _A_COUNT),
}
# They are shapes of beta distributions. Below, more and more of Keras's draws, in 32 bits, are exactly a half.
LEAST_MIXED = 0.05
MIXED_HALF = f"at least {LEAST_MIXED}, since below it Keras draws halves"
_OF_ONE_LAYER = {
    ("MixUp", "alpha"): Bounds(f"a number of {MIXED_HALF}", LEAST_MIXED, sys.float_info.max),
    ("CutMix", "factor"): _A_SHARE,
}
_OF_CALLBACKS = {**dict.fromkeys(_AT_LEAST_ZERO, _NOT_NEGATIVE), "save_freq": _BATCHES}


def bounds_of(family: str, component: str, parameter: str) -> Bounds | None:
    """Return between what a number must be; None where it may be any."""
    if _may_be_anything(family, component):
        return None
    if family == "layers" and (component, parameter) in _OF_ONE_LAYER:
        return _OF_ONE_LAYER[component, parameter]
    if family in FAMILIES and added(family, component) is None and (bounds := bounds_of_work(component, parameter)):
        return bounds
    if parameter in _ABOVE_ZERO:
        return _POSITIVE
    if family == "optimizers":
        return _A_SHARE if parameter in _SHARES else _NOT_NEGATIVE
    if parameter == "initial_learning_rate":
        return _NOT_NEGATIVE
    return {"layers": _OF_LAYERS, "callbacks": _OF_CALLBACKS}.get(family, {}).get(parameter)


def _may_be_anything(family: str, component: str) -> bool:
    """Return whether numbers are not looked at: a plugin's layer has its own, RandomPosterization's factor is bits."""
    return family == "layers" and (component == "RandomPosterization" or added(family, component) is not None)


def _is_one_number(parameter: Parameter, is_keras: bool) -> bool:
    """Return whether a parameter's default, or a table where that is None, says that it takes a number."""
    default, name = parameter.plain_default, parameter.name
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    return (is_number and name not in _NOT_ONLY_NUMBERS) or (
        is_keras and default is None and name in _NUMBERS_OR_NOTHING
    )


def _range(value: float, family: str, component: str, parameter: str) -> str | None:
    """Return what was expected of a number, if it is outside of what has a meaning; None if it is not."""
    if _may_be_anything(family, component):
        return None
    if math.isnan(value) or (math.isinf(value) and family in ("optimizers", "schedules")):
        return "expected a finite number"
    bounds = bounds_of(family, component, parameter)
    return None if bounds is None or bounds.hold(value) else f"expected {bounds.words}"


def _quotient(written: str) -> str | None:
    """Return the value of `1./255` as YAML takes it."""
    above, slash, below = written.partition("/")
    try:
        return repr(float(above) / float(below)) if slash else None
    except (ValueError, ZeroDivisionError):
        return None


def usable(family: str, section: str) -> list[str]:
    """Return what may be named in a section."""
    return [one for one, own in identifiers(family).items() if refusal(family, own, section) is None]
