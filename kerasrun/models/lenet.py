"""LeNet-5 as it is trained today: two convolutions with pooling, then 120 and 84 units."""

from typing import Any, ClassVar, Literal

from kerasrun.models.base import Network, refuse_masks, require_image_shape, require_images
from kerasrun.reading.data import LabelKind, Shape
from kerasrun.tasks.base import Output, task_named


class LeNet(Network):
    """LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition").

    Two 5×5 convolutions with 6 and 16 filters, each followed by 2×2 pooling, then dense layers of 120 and 84 units.
    Without padding: 61,706 parameters on 32×32×1 with 10 classes, 44,426 on 28×28×1.
    """

    kind: ClassVar[str] = "LeNet"

    activation: str = "relu"
    """Activation of every layer but the last; the paper's is `tanh`."""
    pooling: Literal["max", "average"] = "max"
    """Kind of the 2×2 pooling; the paper averages."""

    def check_examples(self, shape: Shape, labels: LabelKind) -> None:
        refuse_masks("LeNet", per_pixel=task_named(labels).per_pixel and len(shape) > 1)
        require_image_shape(shape, "LeNet", least=16)

    def build(self, inputs: Any, output: Output) -> Any:
        from keras import layers

        require_images(inputs, "LeNet", least=16)
        pool = layers.MaxPooling2D if self.pooling == "max" else layers.AveragePooling2D
        x = layers.Conv2D(6, 5, activation=self.activation, name="conv1")(inputs)
        x = pool(2, name="pool1")(x)
        x = layers.Conv2D(16, 5, activation=self.activation, name="conv2")(x)
        x = pool(2, name="pool2")(x)
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(120, activation=self.activation, name="dense1")(x)
        x = layers.Dense(84, activation=self.activation, name="dense2")(x)
        return output.layer()(x)
