"""The names of Keras that an experiment may not use, with the reason that the user is told."""

_BASE = "it is a base class; name one of the classes that derive from it"
_PYTHON = "it needs a Python object, which YAML cannot hold"

_REFUSED: dict[str, dict[str, str]] = {
    "callbacks": {
        "BackupAndRestore": "every run can be resumed without it, exactly: kerasrun resume",
        "ProgbarLogger": "progress is shown without it",
        "CallbackList": "list the callbacks themselves",
        "LambdaCallback": "it needs Python functions, which YAML cannot hold",
        "OrbaxCheckpoint": "checkpoints are written without it; see the section 'checkpoint'",
        "History": "metrics.csv in the run directory holds every epoch without it",
        "RemoteMonitor": "it sends the metrics over the network",
        "Callback": _BASE,
        "MonitorCallback": _BASE,
    },
    "optimizers": {"Optimizer": _BASE, "MultiOptimizer": _PYTHON, "OptimizerMap": _PYTHON},
    "schedules": {"LearningRateSchedule": _BASE},
    "losses": {"Loss": _BASE},
    "metrics": {
        "Metric": _BASE,
        "MeanMetricWrapper": "it needs a Python function, which YAML cannot hold",
        "Mean": "it averages values, and does not compare labels with predictions",
        "Sum": "it adds values, and does not compare labels with predictions",
    },
    "layers": {
        "Layer": _BASE,
        "Wrapper": _BASE,
        "InputSpec": "it is no layer",
        "Input": "the data decide the shape of the input",
        "InputLayer": "the data decide the shape of the input",
        "Lambda": "it needs a Python function, which YAML cannot hold",
        **dict.fromkeys(("StringLookup", "TextVectorization"), "it takes text, and the examples are numbers"),
        "TFSMLayer": "it runs a graph of TensorFlow, which is a program; give the network as model: saved",
        "TorchModuleWrapper": _PYTHON,
        "FlaxLayer": _PYTHON,
        "JaxLayer": _PYTHON,
    },
    "initializers": {"Initializer": _BASE},
    "regularizers": {"Regularizer": _BASE},
    "constraints": {"Constraint": _BASE},
}

_REFUSED_AS_AUGMENTATION = {
    "AugMix": "its draws cannot be repeated by a resumed run; list the layers that it combines, or take RandAugment",
    "ImageDataGenerator": "it stands alone, without a dash: augmentation: {ImageDataGenerator: {…}}",
}

_REFUSED_IN_NETWORKS = {
    "Equalization": "Keras makes a circle of it, which no network may have; 'augmentation' takes it",
    **dict.fromkeys(("CutMix", "MixUp"), "a network has no labels, which it mixes as well; 'augmentation' takes it"),
}


def refusal(family: str, name: str, section: str = "") -> str | None:
    """Why an object of Keras is refused; None if it is not. `name` is the catalogue's, `section` the file's."""
    if section == "augmentation" and name in _REFUSED_AS_AUGMENTATION:
        return _REFUSED_AS_AUGMENTATION[name]
    if section in ("preprocessing", "model") and name in _REFUSED_IN_NETWORKS:
        return _REFUSED_IN_NETWORKS[name]
    return _REFUSED.get(family, {}).get(name)
