"""The architecture of a saved network as JSON, read from its file without Keras."""

import json
import zipfile
from pathlib import Path
from typing import Any

from kerasrun.errors import ModelError
from kerasrun.keras_configs import Architecture
from kerasrun.reading.archives import opened_archive, read_text
from kerasrun.regular_files import LARGEST_NETWORK, read_bytes
from kerasrun.text import json_text, yaml_text
from kerasrun.text.problems import Problem, Text

FILES = "a .keras, .h5, .json or .yaml file"
_MODULES = {"Sequential": "keras", "Functional": "keras.src.models.functional", "Model": "keras.src.models.functional"}
_PREPROCESSING = ("Rescaling", "Normalization")


def read_architecture(path: Path) -> str:
    """Return the network of a file as `model.to_json()` gives it.

    Raises:
        ModelError: if there is no such file, or it holds no network.
    """
    try:
        config = _READERS[path.suffix](path)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; expected {FILES}") from None
    except KeyError:
        raise ModelError(f"{path}: expected {FILES} with a network of Keras") from None
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: cannot be read as {path.suffix}: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict) or not {"class_name", "config"} <= config.keys():
        raise ModelError(f"{path}: no architecture of Keras: expected class_name and config, as model.to_json() writes")
    if isinstance(config["class_name"], str) and config["class_name"] not in _MODULES:
        raise ModelError(
            f"{path}: a {config['class_name'][:100]} is a custom class, whose code is not in the file; expected a "
            "Sequential or functional network"
        )
    _check(config, str(path))
    # How it was compiled is not wanted, and may name custom losses and metrics.
    plain = {key: value for key, value in config.items() if key != "compile_config"}
    if plain["class_name"] == "Model":
        plain["class_name"] = "Functional"
    # Files of older layouts do not say in which module the class of the network is.
    return json.dumps({"module": _MODULES[config["class_name"]], "registered_name": None, **plain})


def parsed(architecture: str) -> dict[str, Any]:
    """Return what `read_architecture` gave, or an experiment of somebody else says.

    Raises:
        ModelError: if it is no network.
    """
    try:
        config = json_text.parse(architecture)
    except ValueError as error:
        raise ModelError(f"model.saved.architecture is not the JSON of a network: it {error}") from error
    return _check(config, "model.saved.architecture")


def _check(config: Any, name: str) -> dict[str, Any]:
    try:
        json_text.checked(Architecture, config)
    except ValueError as error:
        raise ModelError(f"{name}: no architecture of Keras: {error}") from error
    whole: dict[str, Any] = config
    return whole


def preprocesses(config: dict[str, Any]) -> bool:
    """Return whether the first thing that the network does is arithmetic on its input, as preprocessing is.

    Of several inputs only images count.
    """
    layers = config["config"].get("layers") if isinstance(config["config"], dict) else None
    inputs, images = 0, []
    for layer in layers if isinstance(layers, list) else ():
        match layer:
            case {"class_name": "InputLayer", **more}:
                inputs += 1
                match more:
                    case {"config": {"batch_shape": [_, _, _, _]}, "name": name}:
                        images.append(json.dumps(name))
            case {"class_name": name, **more}:
                taken = json.dumps(more.get("inbound_nodes"))
                if inputs < 2 or any(image in taken for image in images):
                    return name in _PREPROCESSING or ".ops." in str(more.get("module"))
    return False


def _of_keras(path: Path) -> Any:
    with opened_archive(path) as archive:
        return json_text.parse(read_text(archive, "config.json"))


def _of_h5(path: Path) -> Any:
    from kerasrun.reading.hdf5 import Contents

    with Contents(path) as contents:
        attributes = contents.require_own().file.attrs
        if "model_config" not in attributes:
            raise ModelError(f"{path}: weights without a network; give its architecture as path:, and this as weights:")
        text = attributes["model_config"]
    if not isinstance(text, str | bytes):
        raise ModelError(f"{path}: model_config is not text; expected {FILES} with a network of Keras")
    return json_text.parse(text)


def _of_json(path: Path) -> Any:
    return json_text.parse(read_bytes(path, LARGEST_NETWORK))


def _of_yaml(path: Path) -> Any:
    content = read_bytes(path, LARGEST_NETWORK).decode()
    problems: list[Problem] = []
    node = yaml_text.parse(content, Text(str(path), yaml_text.split_lines(content)), problems)
    if node is None or problems:
        raise ModelError(str(problems[0]))
    return yaml_text.plain(node)


_READERS = {".keras": _of_keras, ".h5": _of_h5, ".json": _of_json, ".yaml": _of_yaml, ".yml": _of_yaml}
