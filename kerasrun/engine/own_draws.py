"""Which code of plugins draws random numbers for a shard by itself, not those of its examples in the whole batch."""

import re
import traceback
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import op_callbacks

from kerasrun import plugins
from kerasrun.pipeline.augmentation import Augmentation
from kerasrun.workers.draws import as_in_the_whole_batch, is_drawing
from kerasrun.workers.shares import Share

_DRAWS = re.compile("Random|Multinomial|TruncatedNormal|^Stateful|^RngReadAndSkip")


def own_draws(model: Any, augmentation: Augmentation | None, example_shape: Sequence[int]) -> list[str]:
    """Trace the first of two shards, and return the file and the line of each draw that is not Keras's.

    Args:
        example_shape: that of what is augmented.
    """
    found: dict[str, None] = {}

    def see(op_type: str, _inputs: Any, _attrs: Any, outputs: Sequence[tf.Tensor], **_: Any) -> None:
        # From a seed, and of a shape that no shard changes, it is the same for all of them.
        same = op_type.startswith("Stateless") and all(one.shape.is_fully_defined() for one in outputs)
        if _DRAWS.search(op_type) and not same and not is_drawing():
            place = plugins.place_in_plugin("".join(traceback.format_stack()))
            found.update({place: None} if place else {})

    def shard(inputs: Any, examples: tf.Tensor) -> None:
        with as_in_the_whole_batch(Share(2).cuts(tf.shape(examples)[0])[0]):
            model(inputs, training=True)
            model._clear_losses()
            if augmentation:
                augmentation(examples, tf.constant(0, tf.int64))

    specs = keras.tree.map_structure(lambda one: tf.TensorSpec([None, *one.shape[1:]], one.dtype), model.input)
    op_callbacks.add_op_callback(see)
    try:
        tf.function(shard, autograph=False).get_concrete_function(specs, tf.TensorSpec([None, *example_shape]))
    finally:
        op_callbacks.remove_op_callback(see)
    return list(found)
