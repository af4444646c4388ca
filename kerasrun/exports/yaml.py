"""The network without its weights, as YAML."""

import json
from pathlib import Path
from typing import Any

import yaml

from kerasrun.exports.base import KerasExport, from_architecture
from kerasrun.model_file import TrainedModel


class Yaml(KerasExport):
    """`.yaml`: the same as `json`, as YAML without tags, which any safe loader reads."""

    suffix = ".yaml"
    is_whole = False

    def write(self, trained: TrainedModel, path: Path) -> None:
        text = yaml.safe_dump(json.loads(trained.model.to_json()), sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")

    def read(self, path: Path, trained: TrainedModel) -> Any:
        return from_architecture(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))), trained)
