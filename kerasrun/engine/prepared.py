"""Open and check the data of an experiment: training and a preview both begin with it.

Light to import: TensorFlow is not needed before the device is started.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kerasrun import plugins
from kerasrun.engine import devices
from kerasrun.engine.devices import Device
from kerasrun.engine.scales import note_scales
from kerasrun.errors import within_memory
from kerasrun.experiment.image_data_generator import ImageDataGenerator
from kerasrun.experiment.load import Loaded
from kerasrun.experiment.rules.base import Facts, check_with_data
from kerasrun.experiment.rules.class_ids import with_numbers
from kerasrun.experiment.schedules import in_steps
from kerasrun.experiment.schema import Experiment
from kerasrun.pipeline.order import steps_in_epoch
from kerasrun.pipeline.selection import first, is_in_memory, is_on_disk, training_and_validation, with_test_split
from kerasrun.pipeline.suitable_images import require_suitable_images
from kerasrun.reading.data import Data, Split
from kerasrun.reading.memory import kept_within
from kerasrun.workers.cluster import ONE_PROCESS, Place

logger = logging.getLogger("kerasrun")


@dataclass(frozen=True)
class Prepared:
    """An experiment with its data open and checked, before TensorFlow is loaded."""

    experiment: Experiment
    """The experiment with what the data decide: steps in place of epochs, numbers in place of class names."""
    data: Data
    train: Split
    validation: Split | None
    trust: bool
    """Whether code that a model file brings may be run."""

    @property
    def splits(self) -> list[Split]:
        """The examples that train, and those that validate."""
        return [self.train, *([self.validation] if self.validation else [])]

    @property
    def steps(self) -> int:
        """The number of steps in an epoch."""
        fit = self.experiment.fit
        return fit.steps_per_epoch or steps_in_epoch(len(self.train), fit.batch_size)


def prepare(loaded: Loaded, *, trust: bool = False, place: Place = ONE_PROCESS) -> Prepared:
    """Open the files that the experiment names and check what the text alone could not tell.

    Args:
        trust: whether code that a model file brings may be run.
        place: which of several processes this is; those of a machine share its memory.

    Raises:
        KerasrunError: if a file cannot be used, or something monitors a value that will not be logged.
    """
    experiment = loaded.settled(trust=trust)
    logger.info("reading %s", experiment.data.what_is_read)
    data = open_data(experiment, place)
    for note in data.notes:
        logger.info("%s", note)
    for skipped in data.skipped:
        logger.warning("skipped %s: %s", skipped.path, skipped.reason)
    fit = experiment.fit
    data = with_test_split(data, fit, experiment.seed)
    train_split, validation = training_and_validation(data.splits, fit, experiment.seed)
    facts = Facts(
        data.label_kind,
        data.classes,
        columns=len(data.classes),
        example_shape=train_split.inputs.example_shape,
        validates=validation is not None,
        batches=steps_in_epoch(len(validation), fit.batch_size) if validation else None,
        inputs=experiment.data.input_names,
        weighted=train_split.sample_weight is not None,
    )
    check_with_data(experiment, facts, loaded.document)
    if fit.batch_size > len(train_split):
        logger.warning(
            "fit.batch_size: %d is more than the %d training examples, so each epoch is a single step of all of them",
            *(fit.batch_size, len(train_split)),
        )
    if isinstance(experiment.augmentation, ImageDataGenerator):
        require_suitable_images(experiment.augmentation, train_split.inputs)
    note_scales(experiment, data, train_split)
    if not is_in_memory(train_split.inputs):
        how = (
            "decoded once and kept on disk" if is_on_disk(train_split.inputs) else "read from their files in each epoch"
        )
        logger.info("the examples do not fit into cache.memory: they are %s", how)
    if validation and fit.validation_steps:
        validation = first(validation, fit.validation_steps * fit.batch_size)
    prepared = Prepared(experiment, data, train_split, validation, trust)
    experiment = _scheduled_in_steps(experiment, prepared.steps)
    experiment = experiment.model_copy(update={"compile": with_numbers(experiment.compile, data.classes)})
    # The run keeps the plugins: its description names those.
    kept = tuple(Path(plugins.FOLDER, path.name) for path in experiment.plugins)
    experiment = experiment.model_copy(update={"plugins": kept})
    return replace(prepared, experiment=experiment)


def open_data(experiment: Experiment, place: Place = ONE_PROCESS) -> Data:
    """Open the files that the experiment names; their examples may still be read in the background.

    Raises:
        DataError: if the data cannot be used.
        OutOfMemoryError: if they do not fit into memory.
    """
    source = experiment.data
    advice = f"set data.{source.kind}.limit to take fewer examples, or a smaller image_size"
    with (
        within_memory(f"reading {source.what_is_read}", advice),
        kept_within(experiment.cache.memory, place.count_on_host, experiment.cache.disk),
    ):
        return source.open()


def _scheduled_in_steps(experiment: Experiment, steps: int) -> Experiment:
    """Return the experiment with learning-rate schedules that count steps where they counted epochs."""
    optimizer, notes = in_steps(experiment.compile.optimizer, steps)
    said = [("compile", note) for note in notes]
    stages = []
    for number, stage in enumerate(experiment.stages):
        if stage.optimizer is not None:
            its_own, notes = in_steps(stage.optimizer, steps)
            said += [(f"stages.{number}", note) for note in notes]
            stage = stage.model_copy(update={"optimizer": its_own})
        stages.append(stage)
    for section, note in said:
        logger.info("%s.optimizer: %s", section, note)
    compiled = experiment.compile.model_copy(update={"optimizer": optimizer})
    return experiment.model_copy(update={"compile": compiled, "stages": tuple(stages)})


def start_device(
    experiment: Experiment,
    threads: Mapping[str, int] | None = None,
    variables: Mapping[str, str | None] | None = None,
    place: Place = ONE_PROCESS,
    shards: int | None = None,
) -> Device:
    """Start TensorFlow as the experiment asks for; the other arguments as for `devices.start`."""
    return devices.start(
        experiment.device, threads, experiment.deterministic, variables=variables, place=place, shards=shards
    )
