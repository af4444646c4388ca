"""The batches that `kerasrun train` trains on, without a network: a pass over the training images a turn.

Training reads all of its epochs from one pipeline. A turn is therefore the second of three passes of one: what begins a
pipeline is not in it, and what is read ahead of it makes up for what is read ahead after it.

The scale of an `ImageDataGenerator` stands in front of the network in kerasrun; here it is multiplied with every batch,
so that all contenders hand over the same values.
"""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import _turn
from benchmarks._command_line import parser_for
from kerasrun.engine.prepared import prepare, start_device
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.load import load
from kerasrun.pipeline.order import steps_in_epoch

if __name__ == "__main__":
    parser = parser_for(__doc__)
    parser.add_argument("file", type=Path, help="the experiment")
    parser.add_argument("--set", "-s", action="append", default=[], dest="overrides", help="key.path=value")
    parser.add_argument("--passes", type=int, required=True)
    parser.add_argument("--float32", action="store_true", help="what the step does to bytes is done here")
    given = parser.parse_args()
    prepared = prepare(load(given.file, given.overrides))
    prepared.data.require_read()  # as after the first epoch
    start_device(prepared.experiment)

    import tensorflow as tf

    from kerasrun.pipeline.augmentation import augmentation_of
    from kerasrun.pipeline.batches import training_batches

    experiment, split = prepared.experiment, prepared.train
    augmentation = augmentation_of(experiment, split)
    scale = experiment.augmentation.rescale if isinstance(experiment.augmentation, ImageDataGenerator) else None
    steps = steps_in_epoch(len(split), experiment.fit.batch_size)

    def handed_over(batches: Iterator[tuple[tf.Tensor, tf.Tensor]]) -> int:
        """The images of a pass."""
        images = 0
        for x, _ in itertools.islice(batches, steps):
            x = tf.cast(x, tf.float32) if given.float32 else x
            images += len(x if scale is None else x * scale)
        return images

    for number in range(given.passes):
        batches = training_batches(
            split.inputs,
            split.labels,
            batch_size=experiment.fit.batch_size,
            seed=experiment.seed,
            first_step=number * steps,
            epochs=number + 3,
            augmentation=augmentation,
        )
        _turn.wait()
        ahead = iter(batches)
        handed_over(ahead)
        begin = time.perf_counter()
        images = handed_over(ahead)
        _turn.report(seconds=time.perf_counter() - begin, images=images)
        # Nothing is read ahead while others have their turn.
        del ahead
