"""Kinds of data and network that exist for these tests alone."""

from typing import Literal

import pytest
from pydantic import Field

from kerasrun.components import ExperimentPath
from kerasrun.experiment import fields
from kerasrun.models.base import Network
from kerasrun.models.layers import Layers
from kerasrun.sources.base import Source


class Folder(Source):
    """Class folders."""

    kind = "folder"
    path: ExperimentPath
    """Where the class folders are. Relative to the file."""
    image_size: tuple[int, int] | None = None
    """Height and width."""
    color_mode: Literal["grayscale", "rgb", "rgba"] = "rgb"
    """Channels."""
    classes: tuple[str, ...] | None = None
    """Names."""
    shuffle: bool = True
    """A switch."""

    def open(self):
        raise NotImplementedError


class Small(Network):
    """A network with one number."""

    kind = "Small"
    units: int = Field(8, ge=1, le=1024)
    """Width."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share."""

    def build(self, inputs, output):
        raise NotImplementedError


class Known(dict):
    in_words = property(list)


@pytest.fixture(autouse=True)
def _kinds(monkeypatch):
    known = {
        "kerasrun.sources": Known(folder=Folder),
        "kerasrun.models": Known(Small=Small, layers=Layers),
    }
    monkeypatch.setattr(fields, "kinds", lambda package: known[package])
