"""Train and validate in a stage: the whole network on the examples, or the rest of it on what its frozen layers compute
from them.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from kerasrun.callbacks.base import Adapter
from kerasrun.engine.evaluator import Evaluator
from kerasrun.engine.frozen import FrozenPart, OnFeatures, features, frozen_part, part_to_keep
from kerasrun.engine.job import Job
from kerasrun.engine.steps import FusedSteps
from kerasrun.pipeline.batches import BatchesInMemory, is_copied, training_batches
from kerasrun.pipeline.selection import is_array
from kerasrun.reading.data import Split
from kerasrun.reading.memory import kept_within, memory_budget
from kerasrun.runs.records import FeaturesRecord
from kerasrun.tasks.base import Masks
from kerasrun.training.class_weight import sample_weight

logger = logging.getLogger("kerasrun")

Batches = Iterator[Any] | BatchesInMemory
"""The batches that `FusedSteps` takes."""


class Computation:
    """The graphs of a stage, and the batches that they run on; a resume makes all of it again."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.model = job.model
        self.labels = job.targets.task.training_labels(job.train, job.targets)
        self.sample_weight = sample_weight(job.experiment.fit.class_weight, job.train, job.data.classes)
        self.fused_steps = FusedSteps
        self.frozen: FrozenPart | None = None
        """The layers that are computed once in this stage."""
        self.budget = 0
        """Bytes that this may take, as they were free when the run began: it decides in every stage, whatever memory a
        resume finds, since with features the last bits are others."""
        self.run_on_examples()

    def run_on_examples(self) -> None:
        """Make everything again that was traced with an earlier optimizer and its metrics."""
        self._train = self.job.train
        self._of_array = False
        self._take(self.model)
        self.evaluator = self._evaluator(self.job.validation)

    def measure_budget(self) -> None:
        """Measure the free memory, once for a run."""
        with kept_within(self.job.experiment.cache.memory):
            self.budget = memory_budget()

    def choose_frozen_part(self, callbacks: Sequence[Adapter]) -> None:
        """Choose which layers are computed once in the stage that begins."""
        changes = self.job.augmentation is not None or any(one.changes_frozen_layers for one in callbacks)
        examples = sum(map(len, self.job.splits))
        may = self.job.experiment.cache.features and not changes and not self.job.strategy
        self.frozen = part_to_keep(self.model, examples, self.budget) if may else None

    def frozen_state(self) -> FeaturesRecord:
        """Return plain values for a checkpoint."""
        return {"kept": self.frozen is not None, "budget": self.budget}

    def restore_frozen_state(self, state: FeaturesRecord) -> None:
        """Restore what `frozen_state` returned."""
        self.budget = state["budget"]
        self.frozen = frozen_part(self.model) if state["kept"] and not self.job.strategy else None

    def compute_frozen_part(self, stop: Callable[[], bool]) -> bool:
        """Compute the frozen layers once, if there are any, and then run on the rest; False if `stop` returned true."""
        if self.frozen is None:
            return True
        examples = sum(map(len, self.job.splits))
        logger.info(
            "the layers up to %s are frozen: computing them once for %d examples, %.1f MB (-s cache.features=false "
            "computes them in each epoch)",
            *(self.frozen.last, examples, examples * self.frozen.example_bytes / 1e6),
        )
        kept = []
        for split in self.job.splits:
            others = tuple(split.others.values())
            computed = features(self.frozen, split.inputs, self.job.experiment.fit.batch_size, stop, others)
            if computed is None:
                return False
            beside = {name: split.others[name] for name in self.frozen.beside}
            kept.append(replace(split, inputs=computed, others=beside))
        self._train = kept[0]
        self._take(OnFeatures(self.model, self.frozen))
        self.evaluator = self._evaluator(kept[-1] if self.job.validation else None, network=self.frozen.rest)
        return True

    def batches(self, first_step: int) -> Batches:
        """Make the batches that train, from a global step on; several devices share each."""
        fit = self.job.experiment.fit
        of_both: dict[str, Any] = {
            "batch_size": fit.batch_size,
            "seed": self.job.experiment.seed,
            "first_step": first_step,
            "sample_weight": self.sample_weight,
            "others": tuple(self._train.others.values()),
        }
        inputs = self._train.inputs
        self._of_array = is_array(inputs)
        simple = self.job.augmentation is None and not self.job.strategy
        if simple and not isinstance(self.labels, Masks) and all(map(is_copied, (inputs, *of_both["others"]))):
            return BatchesInMemory(inputs, self.labels, **of_both)
        batches = training_batches(
            inputs,
            self.labels,
            epochs=fit.epochs,
            steps_per_epoch=fit.steps_per_epoch,
            augmentation=self.job.augmentation,
            **of_both,
        )
        iterator: Iterator[Any] = iter(
            self.job.strategy.experimental_distribute_dataset(batches) if self.job.strategy else batches
        )
        return iterator

    def can_read_faster(self) -> bool:
        """Return whether all examples have come into memory since the last `batches` were made."""
        return not self._of_array and is_array(self._train.inputs)

    def _take(self, network: Any) -> None:
        self.fused = self.fused_steps(network, self.job.strategy)
        self.model.train_function = self.fused.function  # where TensorBoard looks for the graph

    def _evaluator(self, validation: Split | None, **on_features: Any) -> Evaluator | None:
        if validation is None:
            return None
        return Evaluator(self.model, validation, self.job.targets, self.job.experiment.fit.batch_size, **on_features)
