"""Networks for a first experiment on photos: those whose ImageNet weights Keras has downloaded already."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kerasrun.user_folders import keras_home


@dataclass(frozen=True)
class Pretrained:
    """A network of `keras.applications` with ImageNet weights."""

    name: str
    file: str
    """Keras's name for the file of the weights without a top, with `{}` for the size."""
    sizes: Sequence[int] = (224,)
    """Heights and widths for which there is such a file."""
    alpha: float | None = None

    def size_for(self, side: int, sizes: Sequence[int] | None = None) -> int:
        """Return the smallest of the sizes at which nothing of images of this side is lost, or the largest."""
        sizes = sizes or self.sizes
        return min((size for size in sizes if size >= side), default=max(sizes))


def _mobile_net(alpha: float, text: str) -> Pretrained:
    return Pretrained("MobileNet", f"mobilenet_{text}_{{}}_tf_no_top.h5", (128, 160, 192, 224), alpha)


def _mobile_net_v2(alpha: float) -> Pretrained:
    file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{{}}_no_top.h5"
    return Pretrained("MobileNetV2", file, (96, 128, 160, 192, 224) if alpha <= 1 else (224,), alpha)


DOWNLOADED = _mobile_net_v2(1.0)
"""The network to download where none is there: 9 MB."""
PRETRAINED = (
    Pretrained("EfficientNetV2B0", "efficientnetv2-b0_notop.h5"),
    Pretrained("EfficientNetB0", "efficientnetb0_notop.h5"),
    Pretrained("MobileNetV3Large", "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5"),
    Pretrained("ResNet50", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    _mobile_net_v2(1.4),
    _mobile_net_v2(1.3),
    DOWNLOADED,
    _mobile_net(1.0, "1_0"),
    _mobile_net_v2(0.75),
    _mobile_net(0.75, "7_5"),
    _mobile_net_v2(0.5),
    _mobile_net(0.5, "5_0"),
    _mobile_net_v2(0.35),
    _mobile_net(0.25, "2_5"),
)
"""Networks that a processor can fine-tune, the most accurate on ImageNet first."""


def weights_folder() -> Path:
    """Return where Keras looks for weights: elsewhere if its own folder is there but cannot be written."""
    home = keras_home()
    return (home if os.access(home, os.W_OK) or not os.access(home, os.F_OK) else Path("/tmp/.keras")) / "models"


def cached(side: int) -> tuple[Pretrained, int] | None:
    """Return the best network whose weights are there, and the size of those that suit images of this side."""
    folder = weights_folder()
    for network in PRETRAINED:
        if sizes := [size for size in network.sizes if os.access(folder / network.file.format(size), os.R_OK)]:
            return network, network.size_for(side, sizes)
    return None
