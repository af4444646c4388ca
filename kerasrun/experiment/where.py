"""Where a key belongs that was written somewhere else, and why an argument of Keras is not needed here.

It is derived from the schema, so that a new key is found without a line here.
"""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from kerasrun.components import Kind, family_of, is_written_beside, kinds
from kerasrun.experiment.refused import refusal
from kerasrun.experiment.schema import Experiment, Section
from kerasrun.keras_catalogue import identifiers, signature
from kerasrun.text.document import Document, written_component
from kerasrun.text.problems import listed

OPTIMIZER = ("compile", "optimizer")
_OTHER_NAMES = {
    **{"lr": "learning_rate", "nb_epoch": "epochs", "num_epochs": "epochs", "epoch": "epochs", "max_epochs": "epochs"},
    **{"batch": "batch_size", "bs": "batch_size", "gpu": "device", "gpus": "device", "cpu": "device"},
    **{"val_split": "validation_split", "random_state": "seed", "random_seed": "seed", "img_size": "image_size"},
    **{"target_size": "image_size", "early_stopping": "callbacks", "callback": "callbacks", "metric": "metrics"},
    **{"x_col": "image", "y_col": "label", "weight_col": "sample_weight", "image_column": "image"},
    **{"mixed_precision": "precision", "dtype": "precision", "network": "model", "dataset": "data"},
    **dict.fromkeys(("dir", "directory", "file", "filename", "filepath", "folder", "root", "train_dir"), "path"),
}
_OTHER_VALUES = {
    **dict.fromkeys(("cuda", "cuda:0", "gpu:0"), "gpu"),
    **dict.fromkeys(("amp", "fp16", "float16", "half"), "mixed_float16"),
    **dict.fromkeys(("bf16", "bfloat16"), "mixed_bfloat16"),
    **dict.fromkeys(("fp32", "full", "single"), "float32"),
}
_OTHER_KINDS = {
    **dict.fromkeys(("class_folders", "folder", "folders", "image_folder", "image_folders", "images"), "directory"),
    **dict.fromkeys(("flow_from_dataframe", "image_csv", "image_list", "images_csv", "listed_images"), "image_table"),
    **dict.fromkeys(("table", "text", "tsv", "pandas", "dataframe"), "csv"),
    **dict.fromkeys(("h5", "hdf"), "hdf5"),
    **dict.fromkeys(("functional", "model", "network", "sequential"), "layers"),
}
_NOT_NEEDED = {
    "shuffle": "it is not needed: training examples come in another order in each epoch, decided by 'seed', as with "
    "Keras's shuffle: true; validation and evaluation keep theirs",
    "initial_epoch": "it is not needed: kerasrun resume goes on with the epoch at which a run ended",
    "workers": "it is not needed: examples are read in parallel to training",
    "use_multiprocessing": "it is not needed: examples are read in parallel to training",
    "max_queue_size": "it is not needed: examples are read ahead as fast as training takes them",
    "validation_batch_size": "it is not needed: validation takes fit.batch_size, and its result does not depend on it",
    "weighted_metrics": "it is not needed: metrics count every example alike; the loss has sample_weight",
    "run_eagerly": "it is not needed: kerasrun train FILE --dry-run shows on one batch what fails",
    "steps_per_execution": "it is not needed: as many steps run in one call as take about half a second",
    **dict.fromkeys(
        ("class_mode", "label_mode"), "it is not needed: labels take the form that the loss and the last layer need"
    ),
    "auto_scale_loss": "it is not needed: precision: mixed_float16 scales the loss",
}


def not_needed(key: str) -> str | None:
    """Return why an argument of Keras's `compile` or `fit` is not needed; None for any other key."""
    return _NOT_NEEDED.get(key)


def usual_name(key: str) -> str:
    """Return a key as it is spelled here, where other tools call it otherwise."""
    spelled = key.replace("-", "_").lower()
    return _OTHER_NAMES.get(spelled, spelled)


def usual_value(value: str) -> str:
    """Return a value as it is spelled here, where other tools call it otherwise."""
    return _OTHER_VALUES.get(value.lower(), value)


def usual_kind(name: str) -> str:
    """Return the kind of data or of network that other tools call `name`."""
    return _OTHER_KINDS.get(name.replace("-", "_").lower(), name)


def places_of(key: str, document: Document | None = None) -> list[str]:
    """Return the key paths at which an experiment takes `key`, in the order of the schema.

    Args:
        document: the experiment, whose optimizer is named; without it, Adam is.
    """
    places = _places(key, document), _of_callbacks(key, document), _places(usual_name(key), document)
    return list(dict.fromkeys(next((found for one in places if (found := list(one))), [])))


def belongs(key: str, document: Document, family: str | None) -> str | None:
    """Return in words where a key belongs, for a message; None where no place takes it.

    Args:
        family: the section of a kind that has the key, of which no other kind is meant.
    """
    places = [place for place in places_of(key, document) if not place.startswith(f"{family}.")]
    return f"expected it as {listed(places)}" if places else None


def _places(key: str, document: Document | None) -> Iterator[str]:
    optimizer = written_component(document.node(OPTIMIZER), OPTIMIZER) if document else None
    name = optimizer.name if optimizer else "Adam"
    for section, field in Experiment.model_fields.items():
        if section == key:
            yield section
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section) and key in annotation.model_fields:
            yield f"{section}.{key}"
        if section == "data" and isinstance(annotation, type) and issubclass(annotation, Kind):
            yield from (f"data.{kind}.{key}" for kind in kinds_with(family_of(annotation), [key]))
        if section == "model" and document and isinstance(annotation, type) and issubclass(annotation, Kind):
            yield from _of_networks(key, document, family_of(annotation))
    try:
        arguments = [one.name for one in signature("optimizers", name).parameters]
    except KeyError:
        return
    if key in arguments and key != "name":
        yield f"compile.optimizer.{name}.{key}"


def _of_networks(key: str, document: Document, package: str) -> Iterator[str]:
    """Give the place of a key in the network that is written; without one, in those that alone have it."""
    written = written_component(document.node(("model",)), ("model",))
    having = kinds_with(package, [key])
    known = kinds(package)
    for kind in having if written is None and len(having) <= 2 else having and [written.name if written else ""]:
        if kind in having:
            yield f"model.{key}" if is_written_beside(known[kind]) else f"model.{kind}.{key}"


def _of_callbacks(key: str, document: Document | None) -> Iterator[str]:
    """Give the places of a callback's argument, where an experiment is there to which a callback can be added."""
    for name in sorted(identifiers("callbacks")) if document else ():
        usable = refusal("callbacks", name, "callbacks") is None
        if usable and key in [one.name for one in signature("callbacks", name).parameters]:
            yield f"callbacks.{name}.{key}"


def kinds_with(package: str, keys: Iterable[str]) -> list[str]:
    """Return the kinds of a family that have these keys; `package` is e.g. `kerasrun.sources`."""
    return [
        name
        for name, kind in kinds(package).items()
        if issubclass(kind, BaseModel) and set(keys) <= kind.model_fields.keys()
    ]
