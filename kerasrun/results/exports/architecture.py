"""The network without its weights, as text."""

import json
from pathlib import Path
from typing import Any, ClassVar

import yaml

from kerasrun.network_layers import derive_state
from kerasrun.results.exports.base import KerasExport
from kerasrun.results.model import TrainedModel


class Json(KerasExport):
    """`.json`: what `keras.models.model_from_json` reads."""

    name: ClassVar[str] = "json"
    suffix: ClassVar[str] = ".json"

    def write(self, trained: TrainedModel, path: Path) -> None:
        path.write_text(json.dumps(json.loads(trained.model.to_json()), indent=2) + "\n", encoding="utf-8")

    def read(self, path: Path, trained: TrainedModel) -> Any:
        return _with_weights(path.read_text(encoding="utf-8"), trained)


class Yaml(KerasExport):
    """`.yaml`: the same without tags, so that any safe loader reads it."""

    name: ClassVar[str] = "yaml"
    suffix: ClassVar[str] = ".yaml"

    def write(self, trained: TrainedModel, path: Path) -> None:
        text = yaml.safe_dump(json.loads(trained.model.to_json()), sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")

    def read(self, path: Path, trained: TrainedModel) -> Any:
        return _with_weights(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))), trained)


def _with_weights(text: str, trained: TrainedModel) -> Any:
    import keras

    model = keras.models.model_from_json(text)
    model.set_weights(trained.model.get_weights())
    derive_state([model])
    return model
