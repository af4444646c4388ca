"""Nothing is called because the config of a network names it, and every network of Keras's own layers loads."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kerasrun.errors import ModelError, ModelFileError
from kerasrun.keras_configs import refusal
from kerasrun.model_file import check, load
from kerasrun.models.saved import Saved
from tests.grids import rest_is_long

FILE = Path("network.keras")


def of(module, name, config=None, /, **more):
    return {"module": module, "class_name": name, "config": {} if config is None else config, **more}


def function(module, name, **more):
    return of(module, "function", name, **more)


def network(*layers, **more):
    """A Sequential network of a Dense layer and these."""
    given = of("keras.layers", "InputLayer", {"batch_shape": [None, 4], "name": "input"})
    dense = of("keras.layers", "Dense", {"units": 4, "name": "dense"}, build_config={"input_shape": [None, 4]})
    return of("keras", "Sequential", {"name": "network", "layers": [given, dense, *layers]}, **more)


def dense(**config):
    return network(of("keras.layers", "Dense", {"units": 4, "name": "last", **config}))


POSITIONS = {
    "a layer": lambda one: network(one),
    "an activation": lambda one: dense(activation=one),
    "an initializer": lambda one: dense(kernel_initializer=one),
    "a regularizer": lambda one: dense(kernel_regularizer=one),
    "a constraint": lambda one: dense(bias_constraint=one),
    "a policy": lambda one: dense(dtype=one),
    "a quantization": lambda one: dense(quantization_config=one),
    "how it is built": lambda one: network(of("keras.layers", "Dense", {"units": 4}, build_config={"shape": one})),
    "a loss": lambda one: network(network(compile_config={"optimizer": "sgd", "loss": one})),
    "a metric": lambda one: network(compile_config={"optimizer": "sgd", "loss": "mse", "metrics": [one]}),
    "a wrapped layer": lambda one: network(of("keras.layers", "TimeDistributed", {"layer": one, "name": "wrapped"})),
    "a function of a Lambda": lambda one: network(of("keras.layers", "Lambda", {"function": one, "name": "code"})),
    "a branch of Switch": lambda one: functional(of("keras.src.ops.core", "Switch"), [0, [one], "canary"]),
    "an argument": lambda one: functional(of("keras.layers", "Add", {"name": "s"}), [[one]]),
    "a nested network": lambda one: network(network(network(one))),
}


def functional(layer, arguments):
    """A functional network whose last layer is called with these arguments."""
    given = of(
        "keras.layers", "InputLayer", {"batch_shape": [None, 4], "name": "input"}, name="input", inbound_nodes=[]
    )
    last = {**layer, "name": "s", "inbound_nodes": [{"args": arguments, "kwargs": {}}]}
    ends = {"input_layers": [["input", 0, 0]], "output_layers": [["s", 0, 0]]}
    return of("keras.src.models.functional", "Functional", {"name": "network", "layers": [given, last], **ends})


@pytest.mark.parametrize("place", POSITIONS)
@pytest.mark.parametrize(
    ("one", "words"),
    [
        *((of("keras.src.ops.core", name), name) for name in ("Switch", "Cond", "Map", "Scan", "WhileLoop")),
        *((of("keras.src.ops.core", name), name) for name in ("AssociativeScan", "ForiLoop", "VectorizedMap")),
        *((of("keras.layers", name), name) for name in ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer")),
        *((function("keras.utils", name), name) for name in ("get_file", "set_random_seed")),
        (function("keras.config", "set_floatx"), "set_floatx"),
        (function("keras.datasets.mnist", "load_data"), "load_data"),
        (function("keras.layers", "TFSMLayer"), "TFSMLayer"),
        (function("keras.activations", "deserialize"), "deserialize"),
        (function("keras.ops", "vectorize"), "vectorize"),
        (function("builtins", "get"), "get"),
        (of("__lambda__", "__lambda__", {"value": "x"}), "__lambda__"),
        ({"class_name": "__typespec__", "config": [], "spec_name": "x"}, "__typespec__"),
        ({"class_name": "deserialize", "config": {"config": {}}}, "deserialize"),
        ({"class_name": "Lambda", "config": {}}, "Lambda"),
        ({"class_name": "TFSMLayer", "config": {"filepath": "canary"}}, "TFSMLayer"),
        (of("kerasrun.dice", "Lambda"), "Lambda"),
        (of("os", "system"), "system"),
        (function("os", "system"), "system"),
        (of("keras_hub.models", "Backbone"), "Backbone"),
        (of("keras./etc", "passwd"), "passwd"),
        (of("keras.layers", ["Dense"]), "not the name"),
        (of(["keras"], "Dense"), "not the name"),
        (of("keras.layers", "Dense", registered_name="own>Code"), "own>Code"),
        (function("keras.activations", "relu", registered_name="get_file"), "get_file"),
        (of("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}), "reads the file '/etc/passwd'"),
    ],
)
def test_what_runs_code_is_refused_wherever_it_stands(place, one, words):
    why = refusal(POSITIONS[place](one), FILE)
    assert why is not None
    assert words in why or "Lambda" in why or "Switch" in why
    assert "in its config: config.layers[" in why or "in its config: compile_config" in why


@pytest.mark.parametrize("place", ["a layer", "a metric", "a nested network"])
@pytest.mark.parametrize(
    ("module", "name", "key", "most"),
    [
        ("keras.layers", "RandAugment", "num_ops", 10),
        ("keras.layers", "SpectralNormalization", "power_iterations", 100),
        ("keras.layers", "RandomGaussianBlur", "kernel_size", 199),
        ("keras.optimizers", "Muon", "ns_steps", 100),
        ("keras.metrics", "AUC", "num_thresholds", 100_000),
        ("keras.metrics", "MeanIoU", "num_classes", 10_000),
        ("keras.layers", "Equalization", "bins", 100_000),
        ("keras.layers", "MelSpectrogram", "num_mel_bins", 10_000),
    ],
)
def test_what_an_experiment_must_not_repeat_or_make_room_for_a_network_must_not(place, module, name, key, most):
    within, beyond = ({key: number, "name": "n"} for number in (most, [most, most + 1]))
    assert refusal(POSITIONS[place](of(module, name, within)), FILE) is None
    words = f"whose '{key}' is {most + 1}; expected a whole number from 1 to {most:,}"
    assert words in (refusal(POSITIONS[place](of(module, name, beyond)), FILE) or "")


def test_a_long_name_is_cut():
    why = refusal(network({"class_name": "x" * 30_000, "config": {"name": "y" * 30_000}}), FILE)
    assert 100 < len(why) < 1000


PROPERTY = """
import inspect, json, sys
import keras
from keras.src import api_export
from tests.test_keras_configs import FILE, POSITIONS, functional, function, of
from kerasrun.keras_configs import refusal

called, admitted, refused = set(), set(), 0
CANARY = "canary"

def watch(frame, event, argument):
    # What is called with a value that only the config has was called for the config.
    if event == "call" and frame.f_code in codes and CANARY in map(str, frame.f_locals.values()):
        called.add(codes[frame.f_code])

def on_audit(event, arguments):
    if event.split(".")[0] in ("socket", "subprocess", "shutil", "urllib") or event in ("os.system", "os.remove"):
        called.add(event)
    if event == "open" and isinstance(arguments[0], str) and CANARY in arguments[0]:
        called.add(f"open {arguments[0]}")

public = {name: one for name, one in api_export.REGISTERED_NAMES_TO_OBJS.items() if callable(one)}
assert len(public) > 1000
computing = ("keras.src.activations", "keras.src.losses", "keras.src.metrics", "keras.src.ops.")
codes = {
    one.__code__: name for name, one in public.items()
    if inspect.isfunction(one) and not one.__module__.startswith(computing)
}
saveable = (
    keras.Layer, keras.Initializer, keras.Regularizer, keras.constraints.Constraint, keras.Loss, keras.Metric,
    keras.Optimizer, keras.optimizers.schedules.LearningRateSchedule, keras.DTypePolicy,
    keras.dtype_policies.DTypePolicyMap, keras.random.SeedGenerator, keras.quantizers.Quantizer,
    keras.quantizers.QuantizationConfig, keras.InputSpec, keras.optimizers.OptimizerMap, keras.optimizers.legacy.Adam,
)
sys.addaudithook(on_audit)
places, turn = list(POSITIONS), 0
for api_name, one in public.items():
    module, _, name = api_name.rpartition(".")
    arguments = {"name": CANARY, "filepath": CANARY, "path": CANARY, "fname": CANARY, "origin": CANARY}
    forms = [function(module, name), function("builtins", name), of(module, name), of(module, name, arguments)]
    forms += [{"class_name": name, "config": arguments}, {"class_name": "function", "config": name}]
    forms += [of("keras.layers", "Dense", {"units": 1}, registered_name=api_name)]
    own = getattr(one, "__module__", "")
    forms += [of(own, name, arguments), function(own, name)]
    loaded = isinstance(one, type)
    for form in forms:
        # Each form at three positions, and each position with each form of some names.
        for place in (places[(turn + step) % len(places)] for step in (0, 5, 10)):
            config = POSITIONS[place](json.loads(json.dumps(form)))
            if refusal(config, FILE) is not None:
                refused += 1
                continue
            # A name without its module means another object, in one of the families.
            if form.get("module") in (module, own) and name in (form["class_name"], form["config"]):
                admitted.add(api_name)
            if not loaded:
                loaded = True
                sys.setprofile(watch)
                try:
                    keras.saving.deserialize_keras_object(config)
                except Exception:
                    pass
                sys.setprofile(None)
        turn += 1
wrong = []
for api_name in admitted:
    one = public[api_name]
    if isinstance(one, type):
        fine = issubclass(one, saveable) and not issubclass(one, (keras.layers.Lambda, keras.layers.TFSMLayer))
    else:
        fine = one.__module__.startswith(computing) and "allable" not in (one.__doc__ or "")
        fine = fine and one.__name__ not in ("get", "serialize", "deserialize")
    wrong += [] if fine else [api_name]
print(json.dumps({"called": sorted(called), "wrong": sorted(wrong), "admitted": len(admitted), "refused": refused,
                  "floatx": keras.config.floatx()}))
"""


@pytest.mark.tensorflow
@pytest.mark.long
def test_no_callable_of_keras_is_called_because_a_config_names_it():
    """Every exported callable, in every form, at every position; the admitted ones compute with tensors alone."""
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", PROPERTY], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["called"] == []
    assert said["wrong"] == []
    assert said["floatx"] == "float32"
    assert said["admitted"] > 400
    assert said["refused"] > 20_000


@pytest.mark.tensorflow
def test_the_admitted_operations_take_no_functions():
    import inspect

    from keras.src.ops import core, einops, image, linalg, math, nn, numpy
    from keras.src.ops.operation import Operation

    seen = 0
    for module in (core, einops, image, linalg, math, nn, numpy):
        for name, one in vars(module).items():
            if not (isinstance(one, type) and issubclass(one, Operation) and one.__module__ == module.__name__):
                continue
            seen += 1
            taken = {*inspect.signature(one.__init__).parameters, *inspect.signature(one.call).parameters}
            functions = taken & {"f", "fn", "fun", "function", "cond", "body_fun", "branches", "true_fn", "pyfunc"}
            assert (refusal(of(module.__name__, name), FILE) is not None) == bool(functions), name
    assert seen > 300


@pytest.mark.tensorflow
def test_only_the_known_layers_of_keras_speak_of_safe_mode():
    """A layer that a later Keras thinks unsafe is then looked at before it is let through."""
    import keras

    layers = Path(keras.__file__).parent / "src" / "layers"
    speaking = {file.name for file in layers.rglob("*.py") if "safe_mode" in file.read_text()} - {"lambda_layer.py"}
    assert {name for name in speaking if not name.endswith("_test.py")} == {"index_lookup.py"}


@pytest.mark.tensorflow
def test_networks_of_keras_load_without_trust(tmp_path):
    import keras
    from keras import layers

    x = inputs = keras.Input((32, 32, 3))
    x = (x * 2 - 1) / keras.ops.ones((1, 1, 1, 3)) + x[..., :1]
    x = keras.ops.cast(keras.ops.maximum(x, 0.5), "float32")
    x = layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2", kernel_initializer="he_normal")(x)
    x = layers.Activation(keras.activations.gelu)(layers.BatchNormalization(dtype="mixed_bfloat16")(x))
    x = layers.RandomFlip(seed=1)(keras.activations.softmax(x))
    x = layers.Reshape((-1, 4))(keras.Sequential([layers.MaxPooling2D(), layers.Dropout(0.5, seed=1)])(x))
    x = layers.MultiHeadAttention(2, 2)(x, x)
    x = layers.Bidirectional(layers.LSTM(2))(layers.TimeDistributed(layers.Dense(4))(x))
    model = keras.Model(inputs, keras.ops.sigmoid(layers.Dense(1, bias_constraint=keras.constraints.NonNeg())(x)))
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model.compile(keras.optimizers.AdamW(rate), keras.losses.Huber(), [keras.metrics.AUC(), "mse"])
    model.save(tmp_path / "network.keras")
    assert Saved.model_validate({"path": tmp_path / "network.keras"}).settled().architecture
    with zipfile.ZipFile(tmp_path / "network.keras") as archive:
        assert refusal(json.loads(archive.read("config.json")), FILE) is None
    words = layers.StringLookup(vocabulary=["a", "b"])
    assert refusal(json.loads(keras.Sequential([keras.Input((1,), dtype="string"), words]).to_json()), FILE) is None


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", rest_is_long(["MobileNetV3Small", "ConvNeXtTiny", "InceptionResNetV2"]))
def test_applications_with_classes_of_their_own_load_without_trust(name):
    import keras

    assert refusal(json.loads(getattr(keras.applications, name)(weights=None).to_json()), FILE) is None


@pytest.mark.parametrize(
    "one", [of("kerasrun_plugins.own", "Own", registered_name="mine>Own"), function("builtins", "mine>own")]
)
def test_what_only_a_plugin_can_have_registered_is_left_to_keras_which_runs_nothing_else(one):
    """As a model file of a run with plugins has it, whose plugins are asked for and checked by their sha256."""
    assert [place for place, put in POSITIONS.items() if refusal(put(one), FILE)] == [
        "a function of a Lambda",
        "a branch of Switch",
    ]


ATTACK = network(of("keras.layers", "Lambda", {"name": "code", "function": function("keras.config", "set_floatx")}))


INFO = {
    **{"format": 2, "classes": ["a", "b"], "image_format": None, "row_format": None, "batch_size": 1},
    **{"outputs": "values", "experiment": "x", "epoch": 1},
}


def test_a_tampered_model_file_is_refused_before_keras_is_loaded(tmp_path):
    file = tmp_path / "best.keras"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("kerasrun.json", json.dumps(INFO))
        archive.writestr("config.json", json.dumps(ATTACK))
    with pytest.raises(ModelFileError, match=r"'code' is a Lambda \(in its config: config.layers\[2\]\).*--trust"):
        check(file)
    assert check(file, trust=True).info.epoch == 1


@pytest.mark.tensorflow
def test_a_model_file_is_what_its_name_says(tmp_path):
    """A zip archive may follow an HDF5 file, in which Keras would find another network under this name."""
    import h5py
    import keras

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save(tmp_path / "network.h5")
    with h5py.File(tmp_path / "network.h5", "a") as file:
        file.attrs["model_config"] = json.dumps(network(of("keras.src.ops.core", "Switch")))
    with zipfile.ZipFile(tmp_path / "network.h5", "a") as archive:
        archive.writestr("kerasrun.json", json.dumps(INFO))
        archive.writestr("config.json", json.dumps(network()))
    with pytest.raises(ModelFileError, match=r"expected a file whose name ends in \.keras"):
        load(tmp_path / "network.h5")


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            of("keras.layers", "Dense", {"units": 4}),
            "class_name: expected .*, received .Dense.",
        ),
        (dense(dtype="x"), "Keras cannot load this model"),
        (dense(quantization_config="x"), "Keras cannot load this model"),
        (functional(of("keras.layers", "Add", {}), []), "Keras cannot load this model"),
    ],
)
def test_what_keras_makes_nothing_of_is_told_in_a_sentence(tmp_path, config, words):
    import keras

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)]).save_weights(tmp_path / "model.weights.h5")
    with zipfile.ZipFile(tmp_path / "best.keras", "w") as archive:
        archive.writestr("kerasrun.json", json.dumps(INFO))
        archive.writestr("config.json", json.dumps(config))
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
    with pytest.raises(ModelFileError, match=words):
        load(tmp_path / "best.keras")


@pytest.mark.parametrize("form", ["json", "yaml", "keras"])
def test_a_saved_network_passes_the_same_door(tmp_path, form):
    file = tmp_path / f"network.{form}"
    if form == "keras":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("config.json", json.dumps(ATTACK))
    else:
        file.write_text(json.dumps(ATTACK))
    with pytest.raises(ModelError, match=r"config.layers\[2\]\).*--trust"):
        Saved.model_validate({"path": file}).settled()


def test_a_module_with_a_name_that_no_file_can_have_is_refused():
    layer = {"module": f"keras.{'x' * 300}", "class_name": "Dense", "config": {}}
    assert "which can run code" in refusal({"class_name": "Sequential", "config": {"layers": [layer]}}, Path("a.json"))


def test_what_is_huge_is_told_in_part():
    layer = {"module": "keras.layers", "class_name": "x" * 10**6, "config": {}}
    assert len(refusal({"class_name": "Sequential", "config": {"layers": [layer]}}, Path("a.json"))) < 1000
