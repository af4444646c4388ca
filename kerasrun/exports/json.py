"""The network without its weights, as JSON."""

import json
from pathlib import Path
from typing import Any

from kerasrun.exports.base import KerasExport, from_architecture
from kerasrun.model_file import TrainedModel


class Json(KerasExport):
    """`.json`: the network without weights, as text; `keras.models.model_from_json` reads it."""

    suffix = ".json"
    is_whole = False

    def write(self, trained: TrainedModel, path: Path) -> None:
        path.write_text(json.dumps(json.loads(trained.model.to_json()), indent=2) + "\n", encoding="utf-8")

    def read(self, path: Path, trained: TrainedModel) -> Any:
        return from_architecture(path.read_text(encoding="utf-8"), trained)
