import pytest

from kerasrun.errors import ExperimentError
from kerasrun.experiment.load import parse
from kerasrun.keras_catalogue import identifiers, signature

SMALLEST = "data: {folder: {path: x}}\nmodel: Small\n"


def problems(content):
    with pytest.raises(ExperimentError) as error:
        parse(content, "e.yaml")
    return [line for line in str(error.value).splitlines() if line.startswith("e.yaml:")]


def only_problem(section, content=SMALLEST):
    lines = problems(content + section)
    assert len(lines) == 1
    return lines[0]


def layer_problem(*entries):
    return only_problem(
        "model:\n  layers:\n" + "".join(f"  - {entry}\n" for entry in entries), "data: {folder: {path: x}}\n"
    )


@pytest.mark.parametrize(
    "section",
    [
        "compile: {optimizer: adam, loss: mse, metrics: [acc, AUC, mse, {BinaryAccuracy: {threshold: 0.4}}]}",
        "compile: {optimizer: {SGD: {learning_rate: {CosineDecay: {initial_learning_rate: 1, decay_steps: 5}}}}}",
        "compile: {optimizer: {LossScaleOptimizer: {inner_optimizer: {Adam: {learning_rate: 1e-3}}}}}",
        "compile: {loss: {CategoricalCrossentropy: {label_smoothing: 0.1}}, optimizer: {Adam: }}",
        "compile: {loss: null}",
        "callbacks: [TensorBoard, TerminateOnNaN, {CSVLogger: {filename: a.csv}}]",
        "augmentation: [RandomFlip: {mode: horizontal}]\npreprocessing: [Rescaling: {scale: 0.1}]",
        "callbacks: [TensorBoard: {profile_batch: '2,4'}]",
    ],
)
def test_what_keras_takes_is_taken(section):
    parse(SMALLEST + section, "e.yaml")


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            "compile: {optimizer: Admm}",
            "3:22: compile.optimizer: unknown optimizer 'Admm'; expected a name of keras.opt",
        ),
        ("compile: {metrics: [acuracy]}", "3:21: compile.metrics.0: unknown metric 'acuracy'; "),
        ("compile: {metrics: [acuracy]}", "did you mean 'accuracy'?"),
        ("callbacks: [early_stopping]", "did you mean 'EarlyStopping'?"),
        ("augmentation: [RandomFlp: {mode: horizontal}]", "3:16: augmentation.0: unknown layer 'RandomFlp'"),
        (
            "compile: {optimizer: {SGD: {momentun: 1}}}",
            "3:29: compile.optimizer.SGD.momentun: unknown argument 'momentun' of SGD; "
            "expected an argument of keras.optimizers.SGD; did you mean 'momentum'?",
        ),
        ("callbacks: [TerminateOnNaN: {x: 1}]", "unknown argument 'x' of TerminateOnNaN; expected raise_error"),
        (
            "compile: {optimizer: {SGD: {learning_rate: {CosineDecay: {decay_steps: 3}}}}}",
            "3:45: compile.optimizer.SGD.learning_rate.CosineDecay: 'initial_learning_rate' is missing; "
            "expected {CosineDecay: {initial_learning_rate: …}}",
        ),
        ("compile: {optimizer: {SGD: {learning_rate: fast}}}", "received 'fast'; expected a number, or a schedule"),
        (
            "compile: {optimizer: {SGD: {learning_rate: {CosinDecay: {}}}}}",
            "unknown learning-rate schedule 'CosinDecay'",
        ),
        (
            "compile: {optimizer: {SGD: {momentum: much}}}",
            "3:39: compile.optimizer.SGD.momentum: received the text 'much'",
        ),
        (
            "compile: {metrics: [dice_coeff]}",
            "unknown metric 'dice_coeff'; expected a name of keras.metrics; did you mean 'd",
        ),
        ("compile: {loss: {dice_loss: {smoth: 1}}}", "an argument of kerasrun.dice.DiceLoss; did you mean 'smooth'?"),
        ("compile: {optimizer: {SGD: {nesterov: no}}}", "expected true or false; did you mean 'false'?"),
        ("callbacks: [EarlyStopping: {mode: mni}]", "expected auto, min or max; did you mean 'min'?"),
        ("preprocessing: [Rescaling: {scale: 1./255}]", "expected a number; YAML does not calculate"),
        ("callbacks: [EarlyStopping: 3]", "3:28: callbacks.0: received 3 for 'EarlyStopping'; expected its arguments"),
        (
            "callbacks:\n- EarlyStopping:\n  monitor: loss",
            "5:3: callbacks.0: 'monitor' beside 'EarlyStopping'; expected one callback, its arguments below it: "
            "indent 'monitor' further than 'EarlyStopping'",
        ),
    ],
)
def test_a_wrong_name_or_argument_is_told_at_its_place(section, told):
    assert told in only_problem(section)


def test_an_argument_that_is_misspelt_is_not_missing_as_well():
    assert "did you mean 'filters'?" in layer_problem("Conv2D: {filtres: 3, kernel_size: 3}", "Dense: {units: 3}")


SCHEDULE = "learning_rate: {CosineDecay: {initial_learning_rate: 1, decay_steps: 5}}"


@pytest.mark.parametrize(
    "name",
    [
        "BackupAndRestore",
        "ProgbarLogger",
        "CallbackList",
        "LambdaCallback",
        "OrbaxCheckpoint",
        "History",
        "RemoteMonitor",
        "Callback",
        "MonitorCallback",
    ],
)
def test_callbacks_that_cannot_be_used_are_refused_with_the_reason(name):
    told = only_problem(f"callbacks: [{name}]")
    assert told.startswith(f"e.yaml:3:13: callbacks.0: '{name}' is refused: ")
    assert len(told) > 60


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ("augmentation: [AugMix]", "its draws cannot be repeated"),
        ("compile: {optimizer: MultiOptimizer}", "needs a Python object"),
        ("compile: {metrics: [MeanMetricWrapper]}", "needs a Python function"),
        ("compile: {loss: Loss}", "a base class"),
        ("preprocessing: [Lambda: {function: x}]", "needs a Python function"),
        ("preprocessing: [TFSMLayer: {filepath: x}]", "runs a graph of TensorFlow, which is a program"),
        ("preprocessing: [TimeDistributed: {layer: {TFSMLayer: {filepath: x}}}]", "runs a graph of TensorFlow"),
    ],
)
def test_objects_that_yaml_cannot_describe_are_refused(section, reason):
    assert reason in only_problem(section)


STEP_DECAY = "{step_decay: {initial_learning_rate: 1, drop: 0.5, epochs_drop: 2}}"
PLATEAU, SCHEDULER = "{ReduceLROnPlateau: {patience: 2}}", f"{{LearningRateScheduler: {{schedule: {STEP_DECAY}}}}}"


@pytest.mark.parametrize(
    ("callback", "rate", "told"),
    [
        (PLATEAU, SCHEDULE, "ReduceLROnPlateau beside the schedule CosineDecay of compile.optimizer.SGD"),
        (SCHEDULER, SCHEDULE, "LearningRateScheduler beside the schedule CosineDecay of compile.optimizer.SGD"),
        (SCHEDULER, "decay: 0.1", "LearningRateScheduler beside the decay of compile.optimizer.SGD, which is a sched"),
    ],
)
def test_a_schedule_and_a_callback_that_sets_the_rate_exclude_each_other(callback, rate, told):
    section = f"compile: {{optimizer: {{SGD: {{{rate}}}}}}}\ncallbacks: [{callback}]"
    assert f"4:14: callbacks.0: {told}" in only_problem(section)


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (
            "{decay_steps: 3, decay_epochs: 1, initial_learning_rate: 1}",
            "decay_epochs beside decay_steps; expected one",
        ),
        ("{decay_epochs: 0, initial_learning_rate: 1}", "received 0; expected a number above 0"),
        ("{decay_epochs: many, initial_learning_rate: 1}", "received 'many'; expected a number above 0"),
        (
            "{decay_epoch: 3, initial_learning_rate: 1}",
            "unknown argument 'decay_epoch' of CosineDecay; expected an arg",
        ),
        ("{initial_learning_rate: 1}", "'decay_steps' is missing"),
        ("{decay_steps: -1, initial_learning_rate: 1}", "received -1; expected a number above 0"),
        ("{decay_steps: 5, initial_learning_rate: high}", "received the text 'high'; expected a number"),
    ],
)
def test_counts_of_epochs_are_checked(rate, told):
    assert told in only_problem(f"compile: {{optimizer: {{SGD: {{learning_rate: {{CosineDecay: {rate}}}}}}}}}")


@pytest.mark.parametrize(
    ("optimizer", "told"),
    [
        ("{decay: -1}", "received -1; expected a number of at least 0"),
        (f"{{decay: 0.1, {SCHEDULE}}}", "decay beside a schedule as the learning rate of SGD; expected one of them"),
        (
            "{learning_rate: {PiecewiseConstantDecay: {boundaries_epochs: [3, 2], values: [1, 2, 3]}}}",
            "received a list; expected a list of rising numbers above 0",
        ),
    ],
)
def test_what_changes_the_learning_rate_is_checked(optimizer, told):
    assert told in only_problem(f"compile: {{optimizer: {{SGD: {optimizer}}}}}")


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("{step_decai: {drop: 1}}", "unknown function of the epoch 'step_decai'; expected step_decay; did you mean"),
        (STEP_DECAY.replace("drop: 0.5", "dropp: 0.5"), "did you mean 'drop'?"),
        (STEP_DECAY.replace("drop: 2", "drop: 0"), "epochs_drop: received 0; expected a number above 0"),
        ("{step_decay: {drop: 0.5}}", "'initial_learning_rate' and 'epochs_drop' are missing"),
        ("3", "received 3; expected a function of the epoch"),
    ],
)
def test_a_function_of_the_epoch_is_checked(schedule, told):
    assert told in only_problem(f"callbacks: [{{LearningRateScheduler: {{schedule: {schedule}}}}}]")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("Dense: {units: 3, kernel_initializer: he_norml}", "did you mean 'he_normal'?"),
        ("Dense: {units: 3, kernel_regularizer: {L2: {l3: 1}}}", "unknown argument 'l3' of L2"),
        ("Dense: {units: 3, kernel_constraint: MaxNrm}", "unknown constraint 'MaxNrm'"),
        ("Dense: {units: 3, activation: rleu}", "unknown activation 'rleu'"),
        ("Dense: {units: 3, activation: 3}", "received 3; expected a name of keras.activations"),
        ("Dense: {units: many}", "model.layers.0.Dense.units: received the text 'many'; expected a number"),
        ("Dense", "e.yaml:4:5: model.layers.0: 'units' is missing; expected {Dense: {units: …}}"),
        ("Conv2D: {padding: sme, filters: 1, kernel_size: 1}", "expected valid, same or causal; did you mean 'same'?"),
        ("Dense: {units: 3, kernel_constraint: {NonNeg: {a: 1}}}", "keras.constraints.NonNeg takes no arguments"),
        ("TimeDistributed: {layer: {Dens: {units: 3}}}", "model.layers.0.TimeDistributed.layer: unknown layer 'Dens'"),
        ("Pipeline: {layers: [{Dens: {units: 3}}]}", "model.layers.0.Pipeline.layers.0: unknown layer 'Dens'"),
        ("InputLayer: {shape: [3]}", "the data decide the shape of the input"),
        ("Input: {shape: [3]}", "the data decide the shape of the input"),
        ("{class_name: Dens, config: {units: 3}}", "e.yaml:4:18: model.layers.0: unknown layer 'Dens'"),
        ("{Dense: {units: 3}, name: x}", "'name' beside 'Dense'"),
    ],
)
def test_a_mistake_in_a_layer_is_told(entry, told):
    assert told in layer_problem(entry)


def test_a_keyword_of_keras_json_is_read_as_a_component():
    content = (
        "data: {folder: {path: x}}\nmodel:\n  layers:\n"
        "  - class_name: Dense\n    module: keras.layers\n    registered_name: null\n"
        "    config: {name: d, units: 3, kernel_initializer: {class_name: HeNormal, config: {seed: null}}}\n"
    )
    entry = parse(content, "e.yaml").experiment.model.layers[0]
    assert (entry.component.name, entry.name) == ("Dense", "d")
    assert entry.component.arguments == {"units": 3, "kernel_initializer": {"HeNormal": {"seed": None}}}


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (
            ["Dense: {units: 3, name: first}", "Dense: {units: 3, inputs: [frist]}"],
            "5:32: model.layers.1.Dense.inputs.0: no layer is called 'frist'; expected input or first; "
            "did you mean 'first'?",
        ),
        (
            ["Dense: {units: 3, inputs: [later]}", "Dense: {units: 3, name: later}"],
            "the layer 'later' comes later; expected a layer above this one",
        ),
        (
            ["MultiHeadAttention: {num_heads: 2, key_dim: 3}"],
            "MultiHeadAttention on the layer before alone; expected inputs: [query, value], names of earlier layers",
        ),
        (
            ["MultiHeadAttention: {num_heads: 2, key_dim: 3, inputs: [input]}"],
            "MultiHeadAttention on 1 input; expected inputs: [query, value], names of earlier layers",
        ),
        (["Dense: {units: 3, inputs: first}"], "received 'first'; expected a list of names of earlier layers"),
        (
            ["Dense: {units: 3, name: a}", "ReLU: {name: a}"],
            "5:18: model.layers.1.ReLU.name: a second layer called 'a'",
        ),
        (["Dense: {units: 3, name: input}"], "a layer called 'input'; expected another name"),
        (
            ["Dense: {units: 3, name: code}", "code: {inputs: [input], units: 4}"],
            "5:29: model.layers.1.code.units: the argument 'units' of code, a layer that is applied again; expected ",
        ),
        (["code: {inputs: [input]}", "Dense: {units: 3, name: code}"], "unknown layer 'code'"),
        (["Dense: {units: 3, name: code}", "code: {inputs: [inptu]}"], "no layer is called 'inptu'; expected input or"),
    ],
)
def test_the_graph_of_the_layers_is_checked(entries, told):
    assert told in layer_problem(*entries)


def test_layers_may_skip_and_join():
    layers = (
        "data: {folder: {path: x}}\nmodel:\n  layers:\n  - Dense: {units: 3, name: a}\n"
        "  - Dense: {units: 3, name: b, inputs: [input]}\n  - Add: {inputs: [a, b]}\n"
    )
    assert parse(layers, "e.yaml").experiment.model.layers[2].inputs == ("a", "b")


def test_the_shape_of_the_input_is_not_asked_for_in_a_layer():
    with pytest.raises(ExperimentError, match=r"'input_dim' of Dense; expected none: the data decide"):
        parse("data: {folder: {path: x}}\nmodel: {layers: [{Dense: {units: 2, input_dim: 8}}]}\n", "e.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "preprocessing:\n- Rescaling: {scale: 2, name: a}\n- Rescaling: {scale: 2, name: a}\nmodel: Small",
            r"e\.yaml:4:31: preprocessing\.1\.Rescaling\.name: a second layer called 'a'; expected every name once",
        ),
        (
            "preprocessing: [{Rescaling: {scale: 2, name: a}}]\nmodel: {layers: [{Flatten: {name: a}}]}",
            r"e\.yaml:3:35: model\.layers\.0\.Flatten\.name: a second layer called 'a'",
        ),
        (
            "model: {layers: [{Embedding: {input_dim: 5, output_dim: 2, weights: [[1, 2], [3, 4]]}}]}",
            r"weights: an array as 'weights'; expected \[vectors.npy\], a file with an array",
        ),
    ],
)
def test_what_no_network_can_be_built_of_is_refused(text, message):
    with pytest.raises(ExperimentError, match=message):
        parse(f"data: {{folder: {{path: x}}}}\n{text}\n", "e.yaml")


def _layers_with(parameter):
    return [name for name in identifiers("layers").values() if parameter in arguments_of(name)]


def arguments_of(layer):
    return {one.name: one for one in signature("layers", layer).parameters}


@pytest.mark.tensorflow
@pytest.mark.parametrize("parameter", ["factor", "height_factor", "x_factor", "rate", "stddev"])
@pytest.mark.parametrize("value", [-15, -0.5, 0, 0.5, 1, 15])
def test_a_share_that_keras_takes_is_not_refused(parameter, value):
    import keras

    others = {"width_factor": 0.1}
    for name in dict.fromkeys(_layers_with(parameter)):
        needed = {key: others[key] for key, one in arguments_of(name).items() if one.required and key in others}
        given = {**needed, parameter: value}
        try:
            getattr(keras.layers, name)(**given)
        except (ValueError, TypeError):
            continue
        lines = []
        try:
            parse(f"data: {{folder: {{path: x}}}}\naugmentation: [{{{name}: {given}}}]\nmodel: Small\n", "e.yaml")
        except ExperimentError as error:
            lines = str(error).splitlines()
        assert not any("expected a share" in line for line in lines), (name, lines)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("RandomRotation: {factor: 15}", "expected a share from -1 to 1"),
        ("RandomZoom: {height_factor: 20}", "expected a share from -1 to 1"),
        ("GaussianNoise: {stddev: -1}", "expected a share from 0 to 1"),
        ("RandomCrop: {height: 0, width: 3}", "expected a whole number of at least 1"),
        ("RandomFlip: {seed: abc}", "expected a number"),
    ],
)
def test_a_number_that_no_layer_takes_is_refused_with_its_line(layer, expected):
    line = only_problem(f"augmentation: [{{{layer}}}]\n")
    assert line.startswith("e.yaml:3:")
    assert expected in line


@pytest.mark.parametrize(
    "name",
    [one.name for one in signature("optimizers", "Adam").parameters if one.name not in ("name", "amsgrad", "use_ema")],
)
def test_text_is_never_a_number_of_an_optimizer(name):
    assert f"Adam.{name}: received" in only_problem(f"compile: {{optimizer: {{Adam: {{{name}: abc}}}}}}\n")


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("compile: {optimizer: {Adam: {clipnorm: [1]}}}", "clipnorm: received a list; expected a number"),
        ("compile: {optimizer: {Adam: {weight_decay: true}}}", "weight_decay: received true; expected a number"),
        (
            "compile: {optimizer: {Adam: {clipnorm: 1, clipvalue: 1}}}",
            "clipnorm: received 1; Keras's Adam says: Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can",
        ),
        (
            "compile: {optimizer: {SGD: {gradient_accumulation_steps: 1}}}",
            "gradient_accumulation_steps: received 1; Keras's SGD says: `gradient_accumulation_steps` must be",
        ),
        ("compile: {optimizer: {Adam: {name: a/b}}}", "name: received 'a/b'; expected a text without '/'"),
        (
            "compile: {optimizer: {SGD: {learning_rate: {PiecewiseConstantDecay: {boundaries: [9, 5], values: 1}}}}}",
            "boundaries: received a list; expected a list of rising numbers",
        ),
        (
            "compile: {loss: {MeanSquaredError: {reduction: foo}}}",
            "reduction: received 'foo'; Keras's MeanSquaredError says",
        ),
        ("compile: {metrics: [{AUC: {num_thresholds: 1}}]}", "num_thresholds: received 1; Keras's AUC says"),
        ("compile: {loss: {Huber: {delta: null}}}", "delta: received nothing; expected a number"),
        ("preprocessing: [{Dropout: {rate: }}]", "rate: received nothing; expected a "),
        ("compile: {metrics: [{AUC: {dtype: floaty}}]}", "dtype: received 'floaty'; expected the name of a type"),
        ("compile: {metrics: [{Precision: {thresholds: 2}}]}", "thresholds: received 2; Keras's Precision says"),
        ("callbacks: [{EarlyStopping: {patience: -1}}]", "patience: received -1; expected a number of at least 0"),
        ("callbacks: [{EarlyStopping: {baseline: abc}}]", "baseline: received the text 'abc'; expected a number"),
        ("callbacks: [{ReduceLROnPlateau: {factor: 2}}]", "factor: received 2; Keras's ReduceLROnPlateau says"),
        (
            "preprocessing: [{Dense: {units: 1, kernel_regularizer: {L2: {l2: -1}}}}]",
            "l2: received -1; Keras's L2 says",
        ),
        ("preprocessing: [{ReLU: {max_value: -1}}]", "max_value: received -1; Keras's ReLU says: max_value of a ReLU"),
    ],
)
def test_what_a_constructor_of_keras_refuses_is_refused_at_its_place(section, told):
    assert told in only_problem(section)


@pytest.mark.parametrize(
    ("section", "most"),
    [
        ("augmentation: [{RandAugment: {num_ops: %d}}]", 10),
        ("preprocessing: [{SpectralNormalization: {layer: {Dense: {units: 1}}, power_iterations: %d}}]", 100),
        ("compile: {optimizer: {Muon: {ns_steps: %d}}}", 100),
        ("compile: {metrics: [{AUC: {num_thresholds: %d}}]}", 100_000),
        ("compile: {metrics: [{MeanIoU: {num_classes: %d}}]}", 10_000),
        ("augmentation: [{Equalization: {bins: %d}}]", 100_000),
        ("augmentation: [{RandomGaussianBlur: {kernel_size: %d}}]", 199),
    ],
)
def test_what_keras_repeats_and_makes_room_for_has_an_end(section, most):
    parse(SMALLEST + section % most, "e.yaml")
    assert f"received {most + 1}; expected a whole number from 1 to {most:,}" in only_problem(section % (most + 1))
